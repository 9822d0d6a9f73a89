"""Products of two stacks of matrices as a workload."""

from __future__ import annotations

from math import prod
from typing import Any

from tvm_vsq.codegen.lowering import Lowering, output_blocks
from tvm_vsq.graph import static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.matrices import MatrixProduct


def _workload(call: Any, has_residual: bool, hardware: HardwareConfig) -> MatrixProduct:
    *stack, rows, cv, _ = static_shape(call.args[0])
    columns = static_shape(call.args[1])[-3]
    n, h = (prod(stack[:-1]), stack[-1])
    shared = h > 1 and static_shape(call.args[1])[-4] == 1
    blocks, wide = output_blocks(columns, hardware), bool(int(call.attrs["wide"]))
    return MatrixProduct(n, h, rows, cv, blocks, has_residual=has_residual, wide=wide, shared=shared)


LOWER = Lowering(_workload, has_other=True, other_is_second=True)
