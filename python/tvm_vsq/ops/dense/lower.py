"""A matrix product as a workload: a convolution of one row by a kernel of one pixel."""

from __future__ import annotations

from math import prod
from typing import Any

from tvm_vsq.codegen.lowering import Lowering, output_blocks
from tvm_vsq.graph import static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule import Convolution


def _workload(call: Any, has_residual: bool, hardware: HardwareConfig) -> Convolution:
    *rows, cv, _ = static_shape(call.args[0])
    blocks = output_blocks(static_shape(call.args[1])[0], hardware)
    wide = bool(int(call.attrs["wide"]))
    return Convolution(1, 1, prod(rows), cv, blocks, has_residual=has_residual, wide=wide)


LOWER = Lowering(_workload, lambda weights, _call, _hardware: weights[:, None, None])
