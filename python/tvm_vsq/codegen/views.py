"""The DRAM tensors of one layer as its copies address them."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from tvm_vsq.codegen.layer import DramTensor
from tvm_vsq.codegen.tensors import BESIDE, Fold, Gather, TensorView
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule import LoopNest
from tvm_vsq.schedule.access import Operand

_ONE = (1,)
"""The distance of a vector's records."""


def layer_views(
    nest: LoopNest, constants: Mapping[str, str], tensors: Mapping[str, DramTensor]
) -> dict[str, TensorView]:
    """A view for each operand: `constants` are the regions of some, `tensors` of the others.

    Of channel groups, those blocks and vectors exist that hold channels.
    """
    views = {}
    for operand in nest.operands:
        if operand.constant:
            views[operand.name] = _constant(operand, constants[operand.name], nest)
        elif operand.gathered:
            views[operand.name] = _gathered(operand, tensors[operand.name], nest)
        elif operand.in_dram and operand.name in tensors:
            views[operand.name] = _pixels(operand, tensors[operand.name], nest)
    if BESIDE in tensors:
        views[BESIDE] = _pixels(nest.acc, tensors[BESIDE], nest)
    return views


def _constant(operand: Operand, region: str, nest: LoopNest) -> TensorView:
    """The first two axes are groups and the blocks of a group, unless it is one for all channels."""
    if operand.scratchpad == "acc":
        return _constant_pixels(operand, region, nest)
    if not operand.dims:
        strides = tuple(prod(operand.extents[i + 1 :]) for i in range(len(operand.extents)))
        size = nest.record_bytes[operand.scratchpad]
        return TensorView(region, size, operand.extents, strides, constant=True)
    _, blocks, *others = operand.extents
    dims = (nest.blocks, *others)
    strides = tuple(prod(dims[i + 1 :]) for i in range(len(dims)))
    size = nest.record_bytes[operand.scratchpad]
    return TensorView(region, size, dims, strides, constant=True, fold=Fold(0, blocks))


def _constant_pixels(operand: Operand, region: str, nest: LoopNest) -> TensorView:
    """The first axes are pixels, the others the blocks of one, which may be in groups."""
    *pixels, blocks = (*operand.extents[:3], operand.extents[3] if len(operand.extents) == 4 else nest.blocks)
    dims = (*pixels, blocks)
    strides = tuple(prod(dims[i + 1 :]) for i in range(len(dims)))
    fold = None if len(operand.extents) == 4 else Fold(3, operand.extents[-1], fills=True)
    size = nest.record_bytes[operand.scratchpad]
    return TensorView(region, size, dims, strides, constant=True, fold=fold)


def _gathered(operand: Operand, tensor: DramTensor, nest: LoopNest) -> TensorView:
    """Columns are the rows of a tensor [n, rows, columns, records], of which an entry holds some, as
    blocks.
    """
    n, rows, *_ = operand.extents
    columns = tensor.pixels // (n * rows)
    offset, (image, row, column, record) = tensor.strides(n, rows, columns)
    lanes = nest.hardware.output_lanes
    axis = _digit_axis(tensor)
    return TensorView(
        tensor.root,
        tensor.record_bytes(nest.hardware),
        (n, rows, nest.blocks, tensor.records, *axis),
        (image, row, lanes * column, record, *_ONE[: len(axis)]),
        fold=Fold(2, nest.hardware.group_blocks, fills=True),
        offset=offset,
        gather=Gather(2, lanes, columns, column),
        digits=tensor.digits,
    )


def _rows(operand: Operand, tensor: DramTensor, nest: LoopNest) -> TensorView:
    """The first axes are [n, columns], the last one the records of a pixel."""
    n, columns, *_ = operand.extents
    offset, (image, _, column, record) = tensor.strides(n, 1, columns)
    axis = _digit_axis(tensor)
    dims, strides = (n, columns, tensor.records, *axis), (image, column, record, *_ONE[: len(axis)])
    size = tensor.record_bytes(nest.hardware)
    return TensorView(tensor.root, size, dims, strides, offset=offset, digits=tensor.digits)


def transposed_view(tensor: DramTensor, n: int, hardware: HardwareConfig) -> TensorView:
    """Of a result [n, channels, records], whose vectors run along what were pixels."""
    channels = tensor.pixels // n
    offset, (image, _, channel, record) = tensor.strides(n, 1, channels)
    dims, strides = (n, channels, tensor.records), (image, channel, record)
    return TensorView(tensor.root, tensor.record_bytes(hardware), dims, strides, offset=offset)


def _pixels(operand: Operand, tensor: DramTensor, nest: LoopNest) -> TensorView:
    """The first axes are pixels; one or two others are the records of a pixel."""
    if operand.pixel_axes == 2:
        return _rows(operand, tensor, nest)
    axis = _digit_axis(tensor)
    n, rows, columns, *records = operand.extents[: len(operand.extents) - len(axis)]
    offset, strides = tensor.strides(n, rows, columns)
    grouped = len(records) > 1
    return TensorView(
        tensor.root,
        tensor.record_bytes(nest.hardware),
        (n, rows, columns, tensor.records, *axis),
        (*strides, *_ONE[: len(axis)]),
        fold=Fold(3, records[-1], fills=operand.name in ("inp", "other") and not operand.direct)
        if grouped
        else None,
        offset=offset,
        digits=tensor.digits,
    )


def _digit_axis(tensor: DramTensor) -> tuple[int, ...]:
    """The axis that a vector's records lie along, where it has several."""
    return (tensor.digits,) if tensor.digits > 1 else ()
