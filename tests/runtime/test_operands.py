"""Recorded operands give what was computed: their own results, and the program's outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import tvm_ffi
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accelerators import random_formats
from tests.runtime.conftest import Conv, Program, hardware, insn, load, pack_params, store
from tests.vectors import tensor_of, vectors_of
from torch import nn

import tvm_vsq
from tvm_vsq import isa
from tvm_vsq.errors import InputError, ProgramError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.ops.conv2d.reference import conv2d_accumulate
from tvm_vsq.rtl.operands import ComputeOperands, PpuOperands, VectorOperands
from tvm_vsq.rtl.streams import differences, streams
from tvm_vsq.runtime import native
from tvm_vsq.runtime.operands import check_request, operands_of

INT32_MAX = 2**31 - 1
ENTRIES = {"uop": 1024, "inp": 2048, "wgt": 170, "acc": 4096, "par": 64, "out": 2048}
MANY = 1_000_000


def formats() -> st.SearchStrategy[HardwareConfig]:
    """Accelerators of any number formats."""
    seeds = st.integers(0, 2**32 - 1)
    return seeds.map(lambda seed: hardware(**random_formats(np.random.default_rng(seed), ENTRIES)))


def record(
    program: Program, unit: str, *inputs: np.ndarray, lane: int = 0, skip: int = 0, cycles: int = MANY
) -> Any:
    tensors = [tvm_ffi.from_dlpack(np.ascontiguousarray(x)) for x in inputs]
    module = program.module()
    found = native.record_operands(module, "main", "conv1", unit, lane, skip, cycles, tensors)
    operands = operands_of(found, program.hw, "conv1", unit, lane, skip)
    assert len(operands) == found["recorded"]
    return operands


def last_of_each(entry: np.ndarray, numbers: np.ndarray) -> dict[int, int]:
    return dict(zip(entry.tolist(), numbers.tolist(), strict=True))


def random_conv(hw: HardwareConfig, rng: np.random.Generator) -> Conv:
    signed, out_signed, res_signed, relu, wide, with_residual, overwrites = rng.integers(0, 2, 7).astype(bool)
    channels, kernel, cv = int(rng.integers(1, 70)), int(rng.integers(1, 4)), int(rng.integers(1, 3))
    activation = hw.formats.activation
    params = np.stack(
        [
            rng.integers(0, 2**16, channels),
            rng.integers(0, 40, channels),
            rng.integers(-(2**12), 2**12, channels),
            np.where(rng.random(channels) < 0.3, rng.integers(0, 2**10, channels), INT32_MAX),
        ],
        axis=1,
    ).astype(np.int32)
    conv = Conv(
        hw,
        vectors_of(rng, activation.with_sign(bool(signed)), 4, 5, cv),
        vectors_of(rng, hw.formats.weight, channels, kernel, kernel, cv),
        params,
        padding=(1, 0, 1, 1),
        act_signed=bool(signed),
        out_signed=bool(out_signed),
        relu=bool(relu),
        wide=bool(wide),
        overwrites=bool(overwrites),
    )
    if not with_residual:
        return conv
    residual = tensor_of(rng, activation.with_sign(bool(res_signed)), *conv.out_size, channels=channels)
    return replace(
        conv,
        residual=residual,
        res_signed=bool(res_signed),
        res_mult=int(rng.integers(2**16)),
        res_shift=int(rng.integers(30)),
    )


def inputs_of(conv: Conv) -> list[np.ndarray]:
    return [conv.x] if conv.residual is None else [conv.x, conv.residual]


@settings(max_examples=30, deadline=None)
@given(formats(), st.integers(0, 2**32 - 1))
def test_the_accumulators_of_a_lane_are_those_of_the_convolution(hw: HardwareConfig, seed: int) -> None:
    rng = np.random.default_rng(seed)
    conv, lane = random_conv(hw, rng), int(rng.integers(hw.output_lanes))
    operands = record(conv.program(), "compute", *inputs_of(conv), lane=lane)
    assert isinstance(operands, ComputeOperands)
    (stream,) = streams(hw, operands)
    assert differences(hw, stream) == 0
    blocks, (height, width) = -(-len(conv.w) // hw.output_lanes), conv.out_size
    products = height * width * blocks * np.prod(conv.w.shape[1:4])
    resets = 0 if conv.overwrites else height * width * blocks
    assert operands.cycles == len(operands) == products + resets
    assert (operands.reset.sum(), operands.fresh.sum()) == (resets, height * width * blocks - resets)
    acc = conv2d_accumulate(
        conv.x[None], conv.w, (1, 1), conv.padding, (1, 1), hw.product_shift, hw.product_bits
    )[0].reshape(height * width, -1)
    found = last_of_each(operands.entry, operands.after)
    for entry, number in found.items():
        pixel, channel = entry // blocks, entry % blocks * hw.output_lanes + lane
        assert number == (acc[pixel, channel] if channel < acc.shape[1] else 0)
    assert len(found) == height * width * blocks


@settings(max_examples=30, deadline=None)
@given(formats(), st.integers(0, 2**32 - 1))
def test_the_results_of_the_ppu_are_those_of_the_program(hw: HardwareConfig, seed: int) -> None:
    conv = random_conv(hw, np.random.default_rng(seed))
    operands = record(conv.program(), "ppu", *inputs_of(conv))
    assert isinstance(operands, PpuOperands)
    for stream in streams(hw, operands):
        assert differences(hw, stream) == 0
    pixels, blocks = np.prod(conv.out_size), -(-len(conv.w) // hw.output_lanes)
    assert operands.cycles == len(operands) == pixels * blocks
    expected = conv.run()
    if conv.wide:
        assert not operands.stored.any()
        found = operands.y.reshape(*conv.out_size, -1)[..., : len(conv.w)]
        np.testing.assert_array_equal(found, expected)
        return
    size = hw.vector_size
    elements = expected[..., :size].reshape(pixels, -1)  # of the lanes that no block fills as well
    found = np.where(
        np.repeat(operands.stored, hw.output_lanes // operands.stored.shape[1], axis=1),
        operands.out_elements,
        0,
    ).reshape(pixels, -1)
    width = min(found.shape[1], elements.shape[1])
    np.testing.assert_array_equal(found[:, :width], elements[:, :width])
    assert not found[:, width:].any()
    assert not elements[:, width:].any()
    scales = operands.out_scales.reshape(pixels, -1)[operands.stored.reshape(pixels, -1)]
    each = max(1, size // hw.output_lanes)  # blocks of a vector
    of_blocks = np.repeat(expected[..., -1].reshape(pixels, -1), each, axis=1)
    np.testing.assert_array_equal(scales.reshape(pixels, -1), of_blocks[:, : scales.size // pixels])
    ends = operands.last.reshape(pixels, blocks)
    assert ends[:, -1].all()
    assert operands.first.sum() == operands.last.sum()


def vector_program(hw: HardwareConfig, rng: np.random.Generator) -> tuple[Program, np.ndarray]:
    """Every accumulator entry is moved to, one operation goes over some of them, and all are stored."""
    group = max(1, hw.vector_size // hw.output_lanes)
    vectors = max(1, hw.output_lanes // hw.vector_size)
    outer, inner, count = (int(n) for n in rng.integers(1, 4, 3))
    acc_out, acc_in, inp_out, inp_in = (int(n) for n in rng.integers(0, 4, 4))
    # Groups of `uops`, moved by both loops, in entries [0, 64).
    beyond = (outer - 1) * acc_out + (inner - 1) * acc_in + group
    inp_beyond = (outer - 1) * inp_out + (inner - 1) * inp_in + vectors
    uops = [
        (int(rng.integers(0, 64 - beyond + 1)), int(rng.integers(0, 64 - inp_beyond + 1)), 0)
        for _ in range(count)
    ]
    everywhere = [(entry, entry % (64 - vectors + 1), 0) for entry in range(0, 64, group)]
    op, unsigned = str(rng.choice(["mov", "max", "min", "add", "mac", "mul", "table"])), int(rng.integers(2))
    src = {"mac": "inp", "table": "imm"}.get(op, str(rng.choice(["inp", "imm"])))
    segments = np.zeros((-(-128 // hw.output_lanes) * hw.output_lanes, 4), np.int32)
    segments[:, 2:] = rng.integers(-(2**23), 2**23, (len(segments), 2))
    x = vectors_of(rng, hw.formats.activation.with_sign(not unsigned), 64)
    parts = {
        "uop": isa.encode_uops(uops + everywhere, hw),
        "par": pack_params(segments),
    }
    at, image = {}, b""
    for name, data in parts.items():
        at[name] = len(image)
        image += data + bytes(-len(data) % 64)
    inp_at = len(image)
    out_at = -(-(inp_at + 64 * hw.record_bytes["inp"]) // 64) * 64
    loops = {"iter_out": outer, "iter_in": inner, "acc_out": acc_out, "acc_in": acc_in}
    skip = int(rng.integers(group))
    vec = insn(
        "VEC",
        "push_store",
        op=isa.code_of("VEC", "op", op),
        src=isa.code_of("VEC", "src", src),
        src_unsigned=unsigned,
        skip_blocks=skip,
        uop_count=count,
        inp_out=inp_out,
        inp_in=inp_in,
        imm=int(rng.integers(-3000, 3000)) * (op != "table"),  # no block of the RTL takes arguments apart
        shift=int(rng.integers(8, 30)) * (op != "table"),
        tab_base=0,
        **loops,
    )
    filling = insn(
        "VEC",
        "pop_load",
        op=isa.code_of("VEC", "op", "mov"),
        src=isa.code_of("VEC", "src", "inp"),
        src_unsigned=unsigned,
        uop_begin=count,
        uop_count=len(everywhere),
        iter_out=1,
        iter_in=1,
    )
    insns = [
        load("uop", 0, at["uop"], len(uops) + len(everywhere)),
        load("par", 0, at["par"], len(segments) // hw.output_lanes),
        load("inp", 0, inp_at, 64, "push_vector"),
        filling,
        vec,
        store("acc", 0, out_at, 64, "pop_vector"),
        insn("FINISH"),
    ]
    size = hw.vector_size
    inputs = [[0, inp_at, 64, size + 1, int(not unsigned)]]
    outputs = [[1, out_at, 64, hw.output_lanes, 1]]
    dram_bytes = out_at + 65 * hw.output_lanes * 4
    return Program(hw, insns, image, dram_bytes, inputs, outputs), x


@settings(max_examples=50, deadline=None)
@given(formats(), st.integers(0, 2**32 - 1))
def test_a_lane_of_the_vector_unit_leaves_what_is_stored(hw: HardwareConfig, seed: int) -> None:
    rng = np.random.default_rng(seed)
    program, x = vector_program(hw, rng)
    lane = int(rng.integers(hw.output_lanes))
    result = np.zeros((64, hw.output_lanes), np.int32)
    program.module()["main"](tvm_ffi.from_dlpack(x), tvm_ffi.from_dlpack(result))
    operands = record(program, "vector", x, lane=lane)
    assert isinstance(operands, VectorOperands)
    (stream,) = streams(hw, operands)
    assert differences(hw, stream) == 0
    found = last_of_each(operands.entry, operands.after)
    assert found == {entry: int(result[entry, lane]) for entry in range(64)}
    vec = program.insns[4].fields
    visits = vec["uop_count"] * vec["iter_out"] * vec["iter_in"]
    group = max(1, hw.vector_size // hw.output_lanes) - vec["skip_blocks"]
    assert operands.cycles == len(operands) == 64 + visits * group
    looks_up = vec["op"] == isa.code_of("VEC", "op", "table")
    assert len(operands.tables) == looks_up
    assert np.array_equal(operands.table[64:], np.full(len(operands) - 64, 0 if looks_up else -1))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("VEC", {"op": "sub", "src": "imm"}),
        ("VEC", {"op": "max", "src": "acc"}),
        ("VEC", {"op": "table", "src": "imm", "shift": 1}),
        ("VEC", {"op": "table", "src": "imm", "imm": 1}),
        ("REDUCE", {"op": "sum", "last_lanes": 1}),
    ],
)
def test_operands_of_rows_are_refused(name: str, fields: dict[str, Any]) -> None:
    hw = hardware()
    codes = {key: isa.code_of(name, key, v) if isinstance(v, str) else v for key, v in fields.items()}
    row = insn(name, "pop_load push_store", uop_count=1, iter_out=1, iter_in=1, **codes)
    loads = [load("uop", 0, 0, 1), load("par", 0, 128, 16), load("acc", 0, 64, 1, "push_vector")]
    program = Program(hw, [*loads, row, insn("FINISH", "pop_vector")], bytes(8))
    with pytest.raises(ProgramError, match=rf"instruction 3 \({name}\): its operands are not recorded"):
        record(program, "vector")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("GEMM", {"wgt_unsigned": 1}),
        ("GEMM", {"unscaled": 1}),
        ("VEC", {"op": "add", "src": "inp", "digits": 1}),
        ("PPU", {"out_bits": 3}),
        ("PPU", {"out_bits": 8, "digits": 1}),
        ("PPU", {"residual": 1, "res_digits": 1}),
    ],
)
def test_operands_of_digits_and_of_other_forms_are_refused(name: str, fields: dict[str, Any]) -> None:
    hw = hardware(precision_passes=2)
    unit = isa.ENGINE_OF[name]
    codes = {key: isa.code_of(name, key, v) if isinstance(v, str) else v for key, v in fields.items()}
    loops = {"pixels": 1, "blocks": 1} if name == "PPU" else {"uop_count": 1, "iter_out": 1, "iter_in": 1}
    pads = [("par", 0, 64, 1), ("acc", 0, 192, 1), ("wgt", 0, 256, 1), ("inp", 0, 320, 2)]
    loads = [load("uop", 0, 0, 1), *(load(*pad) for pad in pads)]
    loads[-1] = load(*pads[-1], f"push_{unit}")
    insns = [*loads, insn(name, "pop_load push_store", **loops, **codes), insn("FINISH", f"pop_{unit}")]
    with pytest.raises(ProgramError, match=rf"instruction 5 \({name}\): its operands are not recorded"):
        record(Program(hw, insns, bytes(512)), unit)


def test_a_part_of_the_cycles_is_that_part_of_all(small_conv: Conv) -> None:
    conv = random_conv(small_conv.hw, np.random.default_rng(3))
    for unit in ("compute", "ppu"):
        everything = record(conv.program(), unit, *inputs_of(conv))
        for skip, cycles in ((0, 1), (5, 7), (len(everything) - 2, 100)):
            part = record(conv.program(), unit, *inputs_of(conv), skip=skip, cycles=cycles)
            assert part.cycles == everything.cycles
            assert len(part) == min(cycles, len(everything) - skip)
            for name, column in vars(everything).items():
                if isinstance(column, np.ndarray):
                    np.testing.assert_array_equal(getattr(part, name), column[skip : skip + cycles])


def test_a_vector_that_is_not_whole_in_the_part_is_not_compared() -> None:
    hw = hardware(vector_size=16, output_lanes=4)
    rng = np.random.default_rng(0)
    x, w = vectors_of(rng, hw.formats.activation, 2, 2, 1), vectors_of(rng, hw.formats.weight, 16, 1, 1, 1)
    conv = Conv(hw, x, w, np.tile(np.array([300, 12, 0, INT32_MAX], np.int32), (16, 1)))
    operands = record(conv.program(), "ppu", x, skip=2, cycles=8)  # the end of one, one, half of one
    stream = streams(hw, operands)[0]
    known = stream.simulated["record"][1].all(axis=1)
    assert known.tolist() == [False] * 2 + [True] * 4 + [False] * 2
    assert differences(hw, stream) == 0


@pytest.fixture(scope="module")
def compiled(networks: Any) -> tuple[Any, torch.Tensor]:
    model, x = networks.build(networks.DepthwiseNet)
    calibration = networks.samples(networks.DepthwiseNet)
    return tvm_vsq.compile(model, example_inputs=(x,), calibration=calibration), x


class Sine(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x)


def layer_with(exe: Any, op: str) -> str:
    return next(layer.name for layer in exe.metadata.layers if layer.op == op)


def test_layers_of_every_program_are_recorded_in_an_inference(networks: Any) -> None:
    model, x = networks.build(networks.Mlp)
    model.norm = Sine()
    exe = tvm_vsq.compile(model, example_inputs=(x,), calibration=networks.samples(networks.Mlp))
    assert len(exe.metadata.programs) > 1  # what lies between them runs on the CPU
    before = exe(x)
    for layer in exe.metadata.layers:
        operands = exe.operands(layer.name, x, unit="ppu", cycles=MANY)
        assert (operands.layer, operands.unit, operands.skip) == (layer.name, "ppu", 0)
        assert len(operands) == operands.cycles
        for stream in streams(exe.hardware, operands):
            assert differences(exe.hardware, stream) == 0
    assert torch.equal(exe(x), before)
    # The last layer's results are the network's, but for their unit.
    y = exe.operands("head", x, unit="ppu").y[:, :7].reshape(before.shape)
    unit = before.abs().max() / np.abs(y).max()
    np.testing.assert_allclose(y * unit.item(), before, rtol=1e-5)


def test_other_inputs_give_other_operands(compiled: tuple[Any, torch.Tensor]) -> None:
    exe, x = compiled
    layer = layer_with(exe, "conv2d")
    first, second = exe.operands(layer, x), exe.operands(layer, -x)
    assert not np.array_equal(first.activations, second.activations)
    np.testing.assert_array_equal(first.weights, second.weights)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": "convv"}, r"there is no layer 'convv' on the accelerator; there are \["),
        ({"unit": "store"}, "unit='store': operands are recorded of compute, vector, ppu"),
        ({"lane": 16}, "lane=16: give an integer from 0 to 15"),
        ({"lane": -1}, "lane=-1: give an integer from 0 to 15"),
        ({"lane": 1, "unit": "ppu"}, "lane=1: .* to 0; ppu is recorded with all lanes"),
        ({"cycles": 0}, "cycles=0: give an integer from 1 to 1000000"),
        ({"cycles": 1.5}, r"cycles=1\.5: give an integer"),
        ({"skip": -1}, "skip=-1: give an integer from 0 to"),
        ({"skip": 1 << 63}, r"skip=\d+: give an integer from 0 to"),
        ({"unit": []}, r"unit=\[\]: operands are recorded of"),
    ],
)
def test_what_is_asked_for_is_checked(
    compiled: tuple[Any, torch.Tensor], changes: dict[str, Any], message: str
) -> None:
    exe, x = compiled
    request = {"layer": layer_with(exe, "conv2d"), **changes}
    with pytest.raises(InputError, match=message):
        exe.operands(request.pop("layer"), x, **request)


def test_a_unit_that_does_nothing_in_the_layer_is_refused(compiled: tuple[Any, torch.Tensor]) -> None:
    exe, x = compiled
    layer = layer_with(exe, "conv2d")
    with pytest.raises(ProgramError, match=rf"program '.*': layer '{layer}' has no cycles of vector"):
        exe.operands(layer, x, unit="vector")


def test_depthwise_windows_are_refused(compiled: tuple[Any, torch.Tensor]) -> None:
    exe, x = compiled
    layer = layer_with(exe, "depthwise_conv2d")
    with pytest.raises(ProgramError, match=rf"layer '{layer}', .* \(DWCONV\): its operands are not recorded"):
        exe.operands(layer, x)


def test_nothing_behind_the_last_cycle_is_refused(compiled: tuple[Any, torch.Tensor]) -> None:
    exe, x = compiled
    layer = layer_with(exe, "conv2d")
    cycles = exe.operands(layer, x).cycles
    with pytest.raises(
        ProgramError, match=rf"skip is {cycles}, must be below the {cycles} cycles of compute"
    ):
        exe.operands(layer, x, skip=cycles)


def test_inputs_are_checked_as_for_an_inference(compiled: tuple[Any, torch.Tensor]) -> None:
    exe, x = compiled
    with pytest.raises(InputError, match="shape"):
        exe.operands(layer_with(exe, "conv2d"), x[..., 1:])


def test_the_module_checks_what_it_is_called_with(small_conv: Conv) -> None:
    module, x = small_conv.program().module(), tvm_ffi.from_dlpack(small_conv.x)
    for arguments, message in (
        (("main", "conv1"), "record_operands takes program, layer, unit, lane, skip, cycles and tensors"),
        (("main", 3, "ppu", 0, 0, 1, x), "argument 1 of record_operands is no string"),
        (("main", "conv1", "ppu", 0, -1, 1, x), "argument 4 of record_operands is no integer of at least 0"),
        (("other", "conv1", "ppu", 0, 0, 1, x), "there is no program 'other'"),
        (("main", "conv2", "ppu", 0, 0, 1, x), "program 'main': there is no layer 'conv2'"),
        (("main", "conv1", "cpu", 0, 0, 1, x), "program 'main': there is no unit 'cpu'"),
        (("main", "conv1", "ppu", 0, 0, 1), "program 'main' takes 1 inputs, got 0"),
        (("main", "conv1", "ppu", 0, 0, 1, 5), "program 'main', input 0: not a tensor"),
    ):
        with pytest.raises(ValueError, match=message):
            module["record_operands"](*arguments)


def test_layers_of_one_name_are_not_told_apart(compiled: tuple[Any, torch.Tensor]) -> None:
    layers, hw = compiled[0].metadata.layers, compiled[0].hardware
    name = layers[0].name
    twice = (*layers, layers[0].model_copy(update={"program": "other"}))
    with pytest.raises(InputError, match=f"2 layers are called '{name}'"):
        check_request(twice, hw, name, "ppu", {"lane": 0})
