"""Layers and tensors -> Program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tvm_vsq.codegen.arena import lifetimes, plan_arena
from tvm_vsq.codegen.constants import image_of
from tvm_vsq.codegen.dram import DramLayout, whole_bursts
from tvm_vsq.codegen.emit import LayerEmitter, PostOp
from tvm_vsq.codegen.layer import DramTensor, Layer, ScheduledLayer
from tvm_vsq.codegen.lower import lower_layer
from tvm_vsq.codegen.minimum import minimum_moved, network_minimum
from tvm_vsq.codegen.places import Places
from tvm_vsq.codegen.prefetch import prefetch
from tvm_vsq.codegen.program import Descriptor, LayerRecord, Program, ProgramRecord
from tvm_vsq.codegen.step import Step
from tvm_vsq.codegen.tensors import BESIDE
from tvm_vsq.codegen.tokens import order_steps
from tvm_vsq.codegen.uops import REGION, UopCache
from tvm_vsq.codegen.views import layer_views, transposed_view
from tvm_vsq.errors import ProgramError, phase
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import encode_all
from tvm_vsq.schedule import Knobs, Workload, nest_of, place, require_fit


def build_program(
    name: str,
    layers: Sequence[ScheduledLayer],
    tensors: Mapping[str, DramTensor],
    inputs: Sequence[str],
    outputs: Sequence[str],
    hardware: HardwareConfig,
) -> Program:
    """The program that runs `layers` in order; `inputs` and `outputs` name tensors in the order of the
    arguments.

    ScheduleError or ProgramError names the layer if a schedule is illegal or the DRAM too small.
    """
    uops = UopCache(hardware)
    dram = DramLayout(hardware)
    places = Places(hardware)
    steps: list[Step] = []
    for index, layer in enumerate(layers):
        regions = _place_constants(layer, index, dram)
        used = {operand: tensors[tensor] for operand, tensor in layer.inputs.items()}
        used[nest_of(layer.workload, hardware).result.name] = tensors[layer.result]
        if layer.beside is not None:
            used[BESIDE] = tensors[layer.beside]
        with phase(f"lowering layer '{layer.name}'", ProgramError):
            steps += layer_steps(
                layer.workload, layer.knobs, layer.post, regions, used, (index, layer.name), uops, places
            )
    constants = dram.size
    dram.place(REGION, bytes(uops.image), layers[-1].name)
    fixed = dram.size
    roots = {tensor.root: tensors[tensor.root] for tensor in tensors.values()}
    sizes = {name: tensor.size_bytes(hardware) for name, tensor in roots.items()}
    alive = lifetimes(layers, tensors, inputs, outputs)
    offsets = plan_arena(sizes, alive, hardware.dram.burst_bytes)
    dram.place_arena(offsets, sizes, {name: _user(layers, name, tensors) for name in roots})
    steps = prefetch(steps, hardware)
    for step in steps:
        step.locate(dram.addresses)
    ordered = order_steps(steps, hardware.timing.token_queue_depth)
    moved = [minimum_moved(layer, tensors, hardware) for layer in layers]
    return Program(
        name=name,
        hardware=hardware,
        instructions=encode_all([step.insn for step in ordered], hardware),
        layer_ids=tuple(step.layer for step in ordered),
        layer_names=tuple(layer.name for layer in layers),
        image=dram.image(),
        record=ProgramRecord(
            name=name,
            constant_bytes=constants,
            micro_op_bytes=fixed - constants,
            arena_bytes=dram.size - fixed,
            separate_bytes=sum(whole_bursts(size, hardware) for size in sizes.values()),
            on_chip_minimum_dram_bytes=network_minimum(moved, tensors, [*inputs, *outputs]),
        ),
        inputs=tuple(_descriptor(tensors[key], dram, hardware) for key in inputs),
        outputs=tuple(_descriptor(tensors[key], dram, hardware) for key in outputs),
        layers=tuple(
            _record(name, layer, sum(each.values()), hardware)
            for layer, each in zip(layers, moved, strict=True)
        ),
    )


def layer_steps(
    work: Workload,
    knobs: Knobs,
    post: PostOp,
    constants: Mapping[str, str],
    tensors: Mapping[str, DramTensor],
    label: tuple[int, str],
    uops: UopCache,
    places: Places,
) -> list[Step]:
    """Steps of one layer, `label` (index, name): `constants` are the regions of some operands, `tensors` of
    the others.

    ScheduleError if the schedule is illegal.
    """
    hardware = uops.hardware
    index, name = label
    require_fit(work, knobs, hardware, name)
    nest = lower_layer(work, knobs, hardware)
    slots = {operand: home.slots for operand, home in place(work, knobs, hardware).items()}
    whole = nest_of(work, hardware)
    result = whole.result_name
    loaded = {name: tensor for name, tensor in tensors.items() if not (post.transposed and name == result)}
    views = layer_views(whole, constants, loaded)
    if post.transposed:
        views[result] = transposed_view(tensors[result], whole.result.extents[0], hardware)
    emitter = LayerEmitter(nest, slots, views, post, index, hardware, uops, places)
    return emitter.run()


def _place_constants(layer: Layer, index: int, dram: DramLayout) -> dict[str, str]:
    """The region of each constant operand."""
    regions, nest = {}, nest_of(layer.workload, dram.hardware)
    for operand in nest.constants:
        region = regions[operand.name] = f"the {operand.title} of '{layer.name}' (layer {index})"
        records = layer.constants[operand.name]
        if operand.dims and operand.scratchpad != "acc":
            groups, blocks, *rest = records.shape
            records = records.reshape(groups * blocks, *rest)[: nest.blocks]
        dram.place(region, image_of(records, operand.scratchpad, dram.hardware), layer.name)
    return regions


def _user(layers: Sequence[Layer], root: str, tensors: Mapping[str, DramTensor]) -> str:
    users = (
        layer.name
        for layer in layers
        if root in (tensors[name].root for name in (*layer.results, *layer.inputs.values()))
    )
    return next(users, layers[-1].name)


def _descriptor(tensor: DramTensor, dram: DramLayout, hardware: HardwareConfig) -> Descriptor:
    offset = dram.addresses[tensor.root]
    if tensor.home is not None:
        offset += tensor.home.offset * tensor.digits * tensor.record_bytes(hardware)
    if tensor.channels is not None:
        return Descriptor(1, offset, tensor.pixels, tensor.channels, 1)
    form = tensor.form
    width = (0, 0) if form.format is None else (form.format.bits, form.format.scale_width)
    return Descriptor(
        2 if form.second else 0,
        offset,
        tensor.pixels * tensor.records,
        hardware.vector_size + 1,
        int(tensor.signed),
        *width,
        form.digits,
    )


def _record(program: str, layer: ScheduledLayer, minimum: int, hardware: HardwareConfig) -> LayerRecord:
    return LayerRecord(
        program=program,
        name=layer.name,
        op=layer.op,
        shape=layer.workload.text(layer.channels, hardware),
        channels=layer.channels,
        padded_channels=layer.workload.padded_channels(hardware),
        macs=layer.macs,
        minimum_dram_bytes=minimum,
        knobs=layer.knobs.to_dict(),
        tuned=layer.tuned,
    )
