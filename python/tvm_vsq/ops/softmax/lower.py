"""Softmax as a workload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm_vsq.codegen.lowering import Lowering, row_workload
from tvm_vsq.formats.rows import Probabilities
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.rows import Rows


def _workload(call: Any, has_other: bool, hardware: HardwareConfig) -> Rows:
    return row_workload(call, has_other, hardware, program="softmax", passes=4, reductions=2, tables=2)


def _program(attributes: Mapping[str, Any], has_other: bool) -> Probabilities:
    return Probabilities(int(attributes["argument_shift"]), int(attributes["exponent"]), has_other)


LOWER = Lowering(_workload, rows=_program)
