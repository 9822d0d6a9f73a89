"""A matrix product as a workload: a convolution of one row by a kernel of one pixel."""

from __future__ import annotations

from math import prod
from typing import Any

from tvm_vsq.codegen.lowering import Lowering, output_blocks
from tvm_vsq.graph import static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule import Convolution, Workload
from tvm_vsq.schedule.transposed import TransposedProduct


def _workload(call: Any, has_residual: bool, hardware: HardwareConfig) -> Workload:
    *rows, cv, _ = static_shape(call.args[0])
    blocks = output_blocks(static_shape(call.args[1])[0], hardware)
    if int(dict(call.attrs).get("transposed", 0)):
        return TransposedProduct(prod(rows[:-1]), rows[-1], cv, blocks)
    wide = bool(int(call.attrs["wide"]))
    return Convolution(1, 1, prod(rows), cv, blocks, has_residual=has_residual, wide=wide)


def _weights(weights: Any, call: Any, _hardware: HardwareConfig) -> Any:
    return weights[:, None, None]


LOWER = Lowering(_workload, _weights)
