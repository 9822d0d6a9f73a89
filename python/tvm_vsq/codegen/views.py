"""The DRAM tensors of one layer as its copies address them."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from tvm_vsq.codegen.layer import DramTensor
from tvm_vsq.codegen.tensors import TensorView
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule import LoopNest
from tvm_vsq.schedule.access import Operand


def layer_views(
    nest: LoopNest, constants: Mapping[str, str], tensors: Mapping[str, DramTensor]
) -> dict[str, TensorView]:
    """A view for each operand: `constants` are the regions of some, `tensors` of the others."""
    views = {}
    for operand in nest.operands:
        if operand.constant:
            views[operand.name] = _constant(operand, constants[operand.name], nest.hardware)
        elif operand.in_dram:
            views[operand.name] = _pixels(operand, tensors[operand.name], nest.hardware)
    return views


def _constant(operand: Operand, region: str, hardware: HardwareConfig) -> TensorView:
    extents = operand.extents
    strides = tuple(prod(extents[i + 1 :]) for i in range(len(extents)))
    return TensorView(region, hardware.record_bytes[operand.scratchpad], extents, strides, constant=True)


def _pixels(operand: Operand, tensor: DramTensor, hardware: HardwareConfig) -> TensorView:
    """The first axes are pixels; one or two others are the records of a pixel."""
    n, rows, columns, *records = operand.extents
    strides = (rows * columns * tensor.pitch, columns * tensor.pitch, tensor.pitch, 1)
    return TensorView(
        tensor.name,
        tensor.record_bytes(hardware),
        (n, rows, columns, tensor.pitch),
        strides,
        fold=records[-1] if len(records) > 1 else 0,
    )
