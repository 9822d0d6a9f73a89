"""A sum of 32-bit numbers as a workload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm_vsq.codegen.lowering import Lowering, row_workload
from tvm_vsq.formats.rows import Sum
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.rows import Rows


def _workload(call: Any, has_other: bool, hardware: HardwareConfig) -> Rows:
    return row_workload(call, has_other, hardware, program="sum", passes=0, reductions=0, tables=0)


def _program(_attributes: Mapping[str, Any], _has_other: bool) -> Sum:
    return Sum()


LOWER = Lowering(_workload, rows=_program, has_tables=False)
