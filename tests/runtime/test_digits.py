"""Elements wider than the array: a program of passes over digits beside NumPy on whole elements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tvm_ffi
from tests.accelerators import random_formats
from tests.codegen.machine import ints_to_bits, split
from tests.runtime.conftest import Program, hardware, insn, load, pack_params, second_reading, store
from tests.runtime.cycle_model import Model
from tests.vectors import vectors_of

from tvm_vsq import isa, numerics
from tvm_vsq.codegen.program import Descriptor
from tvm_vsq.errors import ConfigError, ProgramError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.hardware import HardwareConfig, load_hardware
from tvm_vsq.hardware.timed import timed_fields

DEPTHS = {"uop": 16, "inp": 256, "wgt": 64, "acc": 128, "par": 16, "out": 256}
INT32_MAX = 2**31 - 1
AT_PARAMS = 1024


def digits_of(bits: int, width: int) -> int:
    return -(-bits // width)


@dataclass(frozen=True)
class Layer:
    """y = requantize(post_process(x w + coefficient * x, residual=x)): x and y in forms of their own, w in
    another one; of a channel group, which is as wide as the reduction is long.
    """

    hw: HardwareConfig
    x: npt.NDArray[np.int16]  # [n, vectors, V+1]
    form: VectorFormat
    weights: npt.NDArray[np.int16]  # [channels, vectors, V+1]
    weight_bits: int
    result: VectorFormat
    params: npt.NDArray[np.int32]  # [channels, 4]
    scaled: bool
    coefficient: int = -3
    res_mult: int = 57
    res_shift: int = 4

    def expected(self) -> npt.NDArray[np.int16]:
        hw, x, w = self.hw, self.x.astype(np.int64), self.weights.astype(np.int64)
        factor = x[:, None, :, -1] * w[None, :, :, -1]
        if hw.product_shift:
            factor = np.minimum(
                (factor + (1 << hw.product_shift - 1)) >> hw.product_shift, (1 << hw.product_bits) - 1
            )
        if not self.scaled:
            factor = np.ones_like(factor)
        acc = (np.einsum("nvi,kvi->nkv", x[..., :-1], w[..., :-1]) * factor).sum(axis=-1)
        acc += self.coefficient * (x[..., :-1] * x[..., -1:]).reshape(len(x), -1)
        y = numerics.post_process(acc, self.params, False, self.x, self.res_mult, self.res_shift)
        return numerics.requantize(y, self.result, hw.guard_bits)

    def weight_records(self) -> bytes:
        """Entries [block][vector][digit] of output_lanes vectors."""
        hw = self.hw
        v, bo, count = hw.vector_size, hw.output_lanes, digits_of(self.weight_bits, hw.weight_bits)
        w = self.weights.reshape(-1, bo, *self.weights.shape[1:]).astype(
            np.int64
        )  # [block, lane, vector, V+1]
        digits = split(w[..., :-1], hw.weight_bits, count)  # [block, lane, vector, digit, V]
        scales = np.repeat(w[..., None, -1:], count, axis=-2)
        scale_widths = [hw.weight_scale_bits] if hw.weight_scale_bits else []
        records = np.concatenate([digits, scales], axis=-1).transpose(0, 2, 3, 1, 4)
        records = records[..., : v + len(scale_widths)].reshape(-1, bo * (v + len(scale_widths)))
        widths = [*[hw.weight_bits] * v, *scale_widths] * bo
        return ints_to_bits(records, widths, hw.record_bytes["wgt"]).tobytes()

    def program(self) -> Program:
        hw, n = self.hw, len(self.x)
        blocks, vectors = hw.group_blocks, self.x.shape[1]
        a, w = digits_of(self.form.bits, hw.activation_bits), digits_of(self.weight_bits, hw.weight_bits)
        out = digits_of(self.result.bits, hw.activation_bits)
        uops = [(b, v * a, (b * vectors + v) * w) for v in range(vectors) for b in range(blocks)]
        # A pass has the micro-ops of the first one, moved by its digits.
        moved = [(acc, inp + i, wgt + j) for i in range(a) for j in range(w) for acc, inp, wgt in uops]
        image = isa.encode_uops(moved, hw).ljust(AT_PARAMS, b"\0") + pack_params(self.params)
        at_wgt = -(-len(image) // 64) * 64
        image = image.ljust(at_wgt, b"\0") + self.weight_records()
        at_x = -(-len(image) // 64) * 64
        at_y = -(-(at_x + n * vectors * a * hw.record_bytes["inp"]) // 64) * 64
        end = at_y + n * vectors * out * hw.record_bytes["out"]
        passes = [
            insn(
                "GEMM",
                "pop_load" * (i + j == 0) + " push_vector" * (i + j == a + w - 2),
                act_unsigned=int(i + 1 < a or not self.form.signed),
                wgt_unsigned=int(j + 1 < w),
                unscaled=int(not self.scaled),
                shift=i * hw.activation_bits + j * hw.weight_bits,
                fresh_uops=blocks * (i + j == 0),
                uop_begin=len(uops) * (i * w + j),
                uop_count=len(uops),
                iter_out=n,
                iter_in=1,
                acc_out=blocks,
                inp_out=vectors * a,
            )
            for i in range(a)
            for j in range(w)
        ]
        insns = [
            load("uop", 0, 0, len(moved)),
            load("par", 0, AT_PARAMS, blocks),
            load("wgt", 0, at_wgt, blocks * vectors * w),
            load("inp", 0, at_x, n * vectors * a, "push_compute"),
            *passes,
            insn(
                "VEC",
                "pop_compute push_ppu",
                op=isa.code_of("VEC", "op", "mac"),
                src=isa.code_of("VEC", "src", "inp"),
                src_unsigned=int(not self.form.signed),
                digits=a - 1,
                imm=self.coefficient,
                uop_count=1,
                iter_out=n,
                iter_in=1,
                acc_out=blocks,
                inp_out=vectors * a,
            ),
            insn(
                "PPU",
                "pop_vector push_store",
                residual=1,
                res_unsigned=int(not self.form.signed),
                res_digits=a - 1,
                res_mult=self.res_mult,
                res_shift=self.res_shift,
                out_unsigned=int(not self.result.signed),
                out_bits=self.result.bits,
                out_scale_bits=self.result.scale_width,
                digits=out - 1,
                pixels=n,
                blocks=blocks,
            ),
            store("out", 0, at_y, n * vectors * out, "pop_ppu"),
            insn("FINISH"),
        ]
        return Program(
            hw,
            insns,
            image,
            end,
            [tensor(at_x, self.x, self.form, a)],
            [tensor(at_y, self.x, self.result, out)],
        )


def tensor(at: int, x: npt.NDArray[Any], form: VectorFormat, digits: int) -> list[int]:
    rows = x.shape[0] * x.shape[1]
    return Descriptor(
        0, at, rows, form.vector_size + 1, int(form.signed), form.bits, form.scale_width, digits
    ).to_native()


def random_layer(rng: np.random.Generator) -> Layer:
    passes = int(rng.integers(2, 5))
    hw = hardware(**random_formats(rng, DEPTHS), precision_passes=passes)
    size, channels = hw.vector_size, hw.group_channels
    scaled = bool(rng.integers(2))

    def form(width: int, scale_bits: int | None) -> VectorFormat:
        bits = int(rng.integers(2, min(8, passes * width) + 1))
        used = int(rng.integers(0, (scale_bits or 0) + 1)) if scaled else 0
        return VectorFormat(bits, used, size, signed=bool(rng.integers(2)))

    weight = form(hw.weight_bits, hw.weight_scale_bits).with_sign(True)
    x_form = form(hw.activation_bits, hw.activation_scale_bits)
    x = vectors_of(rng, x_form, int(rng.integers(1, 4)), channels // size)
    params = np.stack(
        [
            rng.integers(1, 2**16, channels),
            rng.integers(16, 32, channels),
            rng.integers(-99, 99, channels),
            np.full(channels, INT32_MAX),
        ],
        axis=1,
    ).astype(np.int32)
    return Layer(
        hw,
        x,
        x_form,
        vectors_of(rng, weight, channels, channels // size),
        weight.bits,
        form(hw.activation_bits, hw.activation_scale_bits),
        params,
        scaled,
    )


@pytest.mark.parametrize("seed", range(40))
def test_passes_over_digits_agree_with_numpy_on_whole_elements(seed: int) -> None:
    layer = random_layer(np.random.default_rng(seed))
    program, expected = layer.program(), layer.expected()
    found = np.zeros_like(expected)
    program.module()["main"](*map(tvm_ffi.from_dlpack, (layer.x, found)))
    np.testing.assert_array_equal(found, expected)
    read = second_reading(program, layer.x).read_output(0, expected.shape)
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("seed", range(40, 56))
def test_cycles_agree_with_a_second_model(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = random_layer(rng)
    banks = {"inp": int(rng.choice([1, 2, 4])), "out": int(rng.choice([1, 2, 4]))}
    pads = layer.hw.scratchpads
    pads = pads.model_copy(update={"banks": pads.banks.model_copy(update=banks)})
    program = replace(layer, hw=layer.hw.model_copy(update={"scratchpads": pads})).program()
    model = Model(program.insns, program.hw).run()
    assert program.timing()["cycles"] == model.cycles


def test_unscaled_layers_run_on_an_array_that_rounds_products_of_scales() -> None:
    rng = np.random.default_rng(7)
    layer = random_layer(rng)
    while layer.scaled or layer.hw.product_shift == 0:
        layer = random_layer(rng)
    assert (layer.x[..., -1] == 1).all()
    found = np.zeros_like(layer.expected())
    layer.program().module()["main"](*map(tvm_ffi.from_dlpack, (layer.x, found)))
    np.testing.assert_array_equal(found, layer.expected())


def test_rows_of_tensors_have_five_integers_or_eight() -> None:
    hw = hardware(precision_passes=2)
    own = Descriptor(0, 64, 1, 9, 1)
    assert own.to_native() == [0, 64, 1, 9, 1]
    assert Descriptor(0, 64, 1, 9, 1, 8, 4, 2).to_native() == [0, 64, 1, 9, 1, 8, 4, 2]
    Program(hw, [insn("FINISH")], b"", 1024, [[*own.to_native(), 8, 4, 2]]).module()
    with pytest.raises(ProgramError, match=r"or these and \[bits, scale_bits, digits\]"):
        Program(hw, [insn("FINISH")], b"", 1024, [[*own.to_native(), 8]]).module()
    with pytest.raises(ProgramError, match="input 0: digits is 3, must be 1 to precision_passes, 2"):
        Program(hw, [insn("FINISH")], b"", 1024, [[*own.to_native(), 8, 4, 3]]).module()


def test_precision_passes_is_a_key_of_descriptions_that_schedules_of_today_do_not_know() -> None:
    one, two = load_hardware("vsq-accel"), hardware(precision_passes=2)
    assert one.precision_passes == 1
    assert one.sim_params()["precision_passes"] == 1
    assert "precision_passes" not in timed_fields(one)
    assert timed_fields(two)["precision_passes"] == two.sim_params()["precision_passes"] == 2
    for passes in (0, 5):
        with pytest.raises(ConfigError, match="precision_passes"):
            hardware(precision_passes=passes)
