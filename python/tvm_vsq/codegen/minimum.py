"""The DRAM bytes that every schedule has to move: what a roofline calls compulsory.

Each constant once, each tensor that is read once and only where it is used, each result once; as records of
DRAM. Scratchpads without limits would leave no more (the compulsory misses of
Williams, Waterman and Patterson, "Roofline", CACM 2009; the algorithmic minimum of Huang et al., "Mind the
Gap", ISCA 2024). Instructions, micro-ops and the rest of bursts are no part of it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from math import prod

from tvm_vsq.codegen.layer import DramTensor, Layer
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule import nest_of
from tvm_vsq.schedule.access import Operand

Moved = Mapping[str, int]
"""Bytes of each tensor and of each kind of constants, by name."""


def minimum_moved(layer: Layer, tensors: Mapping[str, DramTensor], hardware: HardwareConfig) -> Moved:
    """What the layer has to move. A tensor that is read twice counts once."""
    nest = nest_of(layer.workload, hardware)
    names = {**layer.inputs, nest.result_name: layer.result}
    moved: dict[str, int] = {}
    if layer.beside is not None:
        moved[layer.beside] = tensors[layer.beside].size_bytes(hardware)
    for operand in nest.operands:
        if operand.in_dram:
            tensor = None if operand.constant else tensors[names[operand.name]]
            if tensor is not None and (
                operand.gathered or (layer.post.transposed and operand is nest.result)
            ):
                moved[tensor.name] = max(moved.get(tensor.name, 0), tensor.size_bytes(hardware))
                continue
            records = _records(operand, nest.extents, nest.blocks, tensor)
            name = names.get(operand.name, operand.title)
            size = nest.record_bytes[operand.scratchpad] if tensor is None else tensor.record_bytes(hardware)
            moved[name] = max(moved.get(name, 0), records * size)
    return moved


def network_minimum(moved: Sequence[Moved], tensors: Container[str], outside: Iterable[str]) -> int:
    """What is left of the bytes of all layers if `tensors` stay on the chip, but for those `outside`: inputs
    and results of the program, each once.
    """
    largest: dict[str, int] = {}
    for layer in moved:
        largest |= {name: max(largest.get(name, 0), size) for name, size in layer.items()}
    constants = sum(size for layer in moved for name, size in layer.items() if name not in tensors)
    return constants + sum(largest.get(name, 0) for name in outside)


def _records(operand: Operand, sizes: Mapping[str, int], blocks: int, tensor: DramTensor | None) -> int:
    """Constants begin with so many blocks of output channels, other operands with pixels."""
    used = [axis.used(sizes) for axis in operand.axes]
    if operand.scratchpad == "acc" and operand.constant:
        return prod(used)
    if tensor is None:
        return blocks * prod(used[2:]) if operand.dims else prod(used)
    return prod(used[:3]) * min(prod(used[3:]), tensor.records * tensor.digits)
