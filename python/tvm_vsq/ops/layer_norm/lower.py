"""Normalization of rows as a workload."""

from __future__ import annotations

from typing import Any

from tvm_vsq.codegen.lowering import Lowering, row_workload
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.ops.layer_norm.relax import normalization_of
from tvm_vsq.schedule.rows import Rows


def _workload(call: Any, has_other: bool, hardware: HardwareConfig) -> Rows:
    if normalization_of(call.attrs).centered:
        return row_workload(call, has_other, hardware, program="norm", passes=4, reductions=2)
    return row_workload(call, has_other, hardware, program="rms", passes=2, reductions=1)


LOWER = Lowering(_workload, rows=lambda attributes, _has_other: normalization_of(attributes))
