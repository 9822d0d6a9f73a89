"""One layer by itself, without data: what a tuner gives to the timing simulator."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from tvm_vsq.codegen.build import layer_steps
from tvm_vsq.codegen.dram import whole_bursts
from tvm_vsq.codegen.emit import PostOp
from tvm_vsq.codegen.forms import Form
from tvm_vsq.codegen.layer import DramTensor
from tvm_vsq.codegen.places import Places
from tvm_vsq.codegen.prefetch import prefetch
from tvm_vsq.codegen.tensors import BESIDE
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


def emit_layer(
    work: Workload, knobs: Knobs, hardware: HardwareConfig, layer: str = "layer", post: PostOp | None = None
) -> LayerCode:
    """Instructions of one layer between inputs and outputs in DRAM, each in bytes of its own. ScheduleError
    if the schedule is illegal.

    post: what the layer does besides multiplying; row programs and transposed results are there alone.
    """
    post = post or PostOp()
    uops, nest = UopCache(hardware), nest_of(work, hardware)
    records = hardware.record_bytes
    constants = {operand.name: operand.title for operand in nest.constants}
    tensors = {
        operand.name: _tensor(operand, nest)
        for operand in nest.operands
        if operand.in_dram and not operand.constant
    }
    if post.transposed:
        tensors[nest.result.name] = _transposed(nest, post.form)
    if nest.acc.stored:
        tensors[BESIDE] = _tensor(nest.acc, nest)
    steps = layer_steps(work, knobs, post, constants, tensors, (0, layer), uops, Places(hardware))
    sizes = {
        region: prod(nest.operand[name].extents) * records[nest.operand[name].scratchpad]
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
    """What an operand is copied from or to: vectors, or numbers of 32 bits."""
    hardware, name = nest.hardware, operand.name
    pixels, rest = operand.extents[: operand.pixel_axes], operand.extents[operand.pixel_axes :]
    if operand.scratchpad == "acc":
        blocks = nest.blocks if len(rest) > 1 else rest[0]
        return DramTensor(name, prod(pixels), blocks, signed=True, channels=blocks * hardware.output_lanes)
    if operand.digits > 1:
        rest = rest[:-1]
    if operand.gathered:  # pixels are [n, rows, columns]
        formats = hardware.formats
        form = Form(second=formats.second_record != formats.activation.with_sign(True), digits=operand.digits)
        columns = nest.blocks * hardware.output_lanes
        return DramTensor(name, prod(pixels[:2]) * columns, rest[-1], signed=True, form=form)
    vectors = rest[0]
    if len(rest) > 1:  # those of channel groups
        vectors = hardware.formats.activation.vectors(nest.blocks * hardware.output_lanes)
    return DramTensor(name, prod(pixels), vectors, signed=True, form=Form(digits=operand.digits))


def _transposed(nest: LoopNest, form: Form) -> DramTensor:
    """The result [n, channels, groups of rows]."""
    n, groups, *_ = nest.result.extents
    channels = nest.blocks * nest.hardware.output_lanes
    return DramTensor(nest.result.name, n * channels, groups, signed=True, form=form)
