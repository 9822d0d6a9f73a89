"""Layers and tensors -> Program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tvm_vsq.codegen.dram import DramLayout
from tvm_vsq.codegen.emit import LayerEmitter, PostOp
from tvm_vsq.codegen.layer import DramTensor, Layer, param_image, weight_image
from tvm_vsq.codegen.lower import lower_layer
from tvm_vsq.codegen.program import Descriptor, LayerRecord, Program
from tvm_vsq.codegen.step import Step
from tvm_vsq.codegen.tokens import order_steps
from tvm_vsq.codegen.uops import REGION, UopCache
from tvm_vsq.codegen.views import layer_views
from tvm_vsq.errors import ProgramError, phase
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import encode_all
from tvm_vsq.schedule import Knobs, Workload, place, require_fit

_HOME_OF = {"X_sp": "inp", "W_sp": "wgt", "P_sp": "par", "R_sp": "res", "Y_sp": "out", "acc": "acc"}


def build_program(
    name: str,
    layers: Sequence[Layer],
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
    steps: list[Step] = []
    for index, layer in enumerate(layers):
        regions = (
            f"the weights of '{layer.name}' (layer {index})",
            f"the parameters of '{layer.name}' (layer {index})",
        )
        dram.place(regions[0], weight_image(layer, hardware), layer.name)
        dram.place(regions[1], param_image(layer, hardware), layer.name)
        residual = tensors[layer.residual] if layer.residual is not None else None
        with phase(f"lowering layer '{layer.name}'", ProgramError):
            steps += layer_steps(
                layer.workload,
                layer.knobs,
                layer.post,
                (regions, tensors[layer.source], tensors[layer.result], residual),
                (index, layer.name),
                uops,
            )
    last = layers[-1].name
    dram.place(REGION, bytes(uops.image), last)
    for tensor in tensors.values():
        dram.reserve(tensor.name, tensor.size_bytes(hardware), _user(layers, tensor.name))
    ordered = order_steps(steps, hardware.timing.token_queue_depth)
    for step in ordered:
        if step.region is not None:
            step.insn.fields["dram_base"] += dram.addresses[step.region]
    return Program(
        name=name,
        hardware=hardware,
        instructions=encode_all([step.insn for step in ordered], hardware),
        layer_ids=tuple(step.layer for step in ordered),
        layer_names=tuple(layer.name for layer in layers),
        image=dram.image(),
        dram_bytes=dram.size,
        inputs=tuple(_descriptor(tensors[key], dram, hardware) for key in inputs),
        outputs=tuple(_descriptor(tensors[key], dram, hardware) for key in outputs),
        layers=tuple(_record(name, layer, hardware) for layer in layers),
    )


def layer_steps(
    work: Workload,
    knobs: Knobs,
    post: PostOp,
    operands: tuple[tuple[str, str], DramTensor, DramTensor, DramTensor | None],
    label: tuple[int, str],
    uops: UopCache,
) -> list[Step]:
    """Steps of one layer; `operands` are (regions of the constants, source, result, residual), `label`
    (index, name).

    Layers with odd index use the far end of the scratchpads. ScheduleError if the schedule is illegal.
    """
    hardware = uops.hardware
    index, name = label
    require_fit(work, knobs, hardware, name)
    nest = lower_layer(work, knobs, hardware)
    homes = place(work, knobs, hardware)
    slots = {
        buffer.name: homes[_HOME_OF[buffer.name.partition("_local")[0]]].slots for buffer in nest.buffers
    }
    constants, source, result, residual = operands
    views = layer_views(work, hardware, constants, source, result, residual)
    emitter = LayerEmitter(nest, slots, views, post, index, hardware, uops, from_top=bool(index % 2))
    return emitter.run()


def _user(layers: Sequence[Layer], tensor: str) -> str:
    users = (layer.name for layer in layers if tensor in (layer.result, layer.source, layer.residual))
    return next(users, layers[-1].name)


def _descriptor(tensor: DramTensor, dram: DramLayout, hardware: HardwareConfig) -> Descriptor:
    offset = dram.addresses[tensor.name]
    if tensor.channels is not None:
        return (1, offset, tensor.pixels, tensor.channels, 1)
    return (0, offset, tensor.pixels * tensor.vectors, hardware.vector_size + 1, int(tensor.signed))


def _record(program: str, layer: Layer, hardware: HardwareConfig) -> LayerRecord:
    work = layer.workload
    batch = f"{work.n}x" if work.n > 1 else ""
    real = (layer.channels, len(layer.weights))
    padded = (work.cv * hardware.vector_size, work.kb * hardware.output_lanes)
    given, taken = (
        f"{count}" if count == filled else f"{count}({filled})"
        for count, filled in zip(real, padded, strict=True)
    )
    shape = f"{batch}{work.h}x{work.w}x{given} > {batch}{work.oh}x{work.ow}x{taken} {work.r}x{work.s}"
    return LayerRecord(
        program=program,
        name=layer.name,
        op=layer.op,
        shape=shape,
        channels=real,
        padded_channels=padded,
        macs=layer.macs,
        knobs=layer.knobs.to_dict(),
        tuned=layer.tuned,
    )
