"""One layer by itself, without data: what a tuner gives to the timing simulator."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from tvm_vsq.codegen.build import layer_steps
from tvm_vsq.codegen.dram import whole_bursts
from tvm_vsq.codegen.emit import PostOp
from tvm_vsq.codegen.layer import DramTensor
from tvm_vsq.codegen.places import Places
from tvm_vsq.codegen.prefetch import prefetch
from tvm_vsq.codegen.tokens import order_steps
from tvm_vsq.codegen.uops import REGION, UopCache
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import encode_all
from tvm_vsq.schedule import Knobs, LoopNest, Workload, nest_of
from tvm_vsq.schedule.access import Operand


@dataclass(frozen=True)
class LayerCode:
    """Encoded instructions of a layer; DRAM holds nothing, the addresses are those of a program of one
    layer.
    """

    instructions: bytes
    count: int

    @property
    def layer_ids(self) -> bytes:
        """uint32 layer number of each instruction: all 0."""
        return bytes(4 * self.count)


def emit_layer(work: Workload, knobs: Knobs, hardware: HardwareConfig, layer: str = "layer") -> LayerCode:
    """Instructions of one layer between inputs and outputs in DRAM. ScheduleError if the schedule is
    illegal.
    """
    uops, nest = UopCache(hardware), nest_of(work, hardware)
    records = hardware.record_bytes
    constants = {operand.name: operand.title for operand in nest.constants}
    tensors = {
        operand.name: _tensor(operand, nest)
        for operand in nest.operands
        if operand.in_dram and not operand.constant
    }
    steps = layer_steps(work, knobs, PostOp(), constants, tensors, (0, layer), uops, Places(hardware))
    sizes = {
        region: nest.entries[name] * records[nest.operand[name].scratchpad]
        for name, region in constants.items()
    }
    sizes[REGION] = len(uops.image)
    sizes |= {tensor.name: tensor.size_bytes(hardware) for tensor in tensors.values()}
    addresses, end = {}, 0
    for region, size in sizes.items():
        addresses[region] = end
        end += whole_bursts(size, hardware)
    steps = prefetch(steps, hardware)
    for step in steps:
        step.locate(addresses)
    ordered = order_steps(steps, hardware.timing.token_queue_depth)
    return LayerCode(encode_all([step.insn for step in ordered], hardware), len(ordered))


def _tensor(operand: Operand, nest: LoopNest) -> DramTensor:
    pixels, channels = prod(operand.extents[:3]), nest.blocks * nest.hardware.output_lanes
    if operand.scratchpad == "acc":
        return DramTensor(operand.name, pixels, nest.blocks, signed=True, channels=channels)
    records = prod(operand.extents[3:])
    if len(operand.extents) > 4:  # those of channel groups
        records = nest.hardware.formats.activation.vectors(channels)
    return DramTensor(operand.name, pixels, records, signed=True)
