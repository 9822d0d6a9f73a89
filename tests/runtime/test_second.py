"""Products of two activations: what the PPU makes of one of them is stored, gathered, and multiplied by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tvm_ffi
from tests.accelerators import random_formats
from tests.runtime.conftest import Program, hardware, insn, load, pack_params, second_reading, store
from tests.vectors import vectors_of

from tvm_vsq import isa, numerics
from tvm_vsq.errors import ProgramError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.hardware import HardwareConfig

DEPTHS = {"uop": 64, "inp": 128, "wgt": 64, "acc": 512, "par": 16, "out": 2048}
INT32_MAX = 2**31 - 1


def call(program: Program, *arrays: npt.NDArray[Any]) -> None:
    program.module()["main"](*map(tvm_ffi.from_dlpack, arrays))


def aligned(at: int) -> int:
    return -(-at // 64) * 64


@pytest.mark.parametrize(
    ("notation", "second"),
    [
        ("4/4/4/4", VectorFormat(4, 4, 16)),
        ("4/8/6/10", VectorFormat(4, 6, 16)),
        ("8/3/2/7", VectorFormat(3, 2, 16)),
        ("8/8/-/-", VectorFormat(8, None, 16)),
        ("4/8/-/4", VectorFormat(4, None, 16)),
        ("8/6/4/-", VectorFormat(6, None, 16)),
    ],
)
def test_the_form_is_the_narrower_of_both_sides(notation: str, second: VectorFormat) -> None:
    hw = hardware(vector_size=16).with_formats(notation)
    assert hw.formats.second == second
    params = hw.sim_params()
    assert params["second_bits"] == second.bits
    assert params["second_scale_bits"] == (second.scale_bits or 0)
    assert params["second_record_bytes"] == hw.second_record_bytes == -(-second.record_bits // 8)


@pytest.mark.parametrize("seed", range(12))
def test_tensors_of_the_form_come_and_go(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hw = hardware(**random_formats(rng, DEPTHS))
    form = hw.formats.second
    x = vectors_of(rng, form, 3, 4)
    y = np.zeros_like(x)
    program = Program(
        hw,
        [insn("FINISH")],
        b"",
        1 << 16,
        [[2, 64, 12, form.vector_size + 1, 1]],
        [[2, 64, 12, form.vector_size + 1, 1]],
    )
    call(program, x, y)
    np.testing.assert_array_equal(y, x)


def test_what_no_tensor_of_the_form_holds_is_refused() -> None:
    hw = hardware(weight_bits=3, weight_scale_bits=2)
    x = np.ones((1, 9), np.int16)

    def run(signed: int = 1, lanes: int = 9) -> None:
        call(Program(hw, [insn("FINISH")], b"", 1024, [[2, 64, 1, lanes, signed]]), x)

    run()
    for lane, value, message in (
        (2, -4, "vector 0, element 2 is -4; 3-bit signed elements are -3 to 3"),
        (8, 4, "vector 0: scale 4; 2-bit scales are 0 to 3"),
    ):
        x[0, lane] = value
        with pytest.raises(ValueError, match=message):
            run()
        x[:] = 1
    with pytest.raises(ProgramError, match="input 0: signed is 0, must be 1 with kind 2"):
        run(signed=0)
    with pytest.raises(ProgramError, match="input 0: 8 lanes, must be vector_size"):
        run(lanes=8)
    with pytest.raises(
        ProgramError, match=r"kind 3, must be 0 \(vectors\), 1 \(wide\) or 2 \(second operand\)"
    ):
        Program(hw, [insn("FINISH")], b"", 1024, [[3, 64, 1, 9, 1]]).module()


@dataclass(frozen=True)
class Product:
    """Scores [query, key]: sums over channels of queries, which are vectors of inp, times keys, which the PPU
    makes second operands of; or, along pixels, [query, channel]: sums over keys.
    """

    hw: HardwareConfig
    queries: npt.NDArray[np.int16]  # [n, vectors, V+1]
    keys: npt.NDArray[np.int32]  # [keys, channels]
    params: npt.NDArray[np.int32]  # [channels, 4]
    transpose: bool
    shift: int = 0  # of what GEMM adds

    @property
    def second(self) -> npt.NDArray[np.int16]:
        """What is stored of the keys: [keys, vectors, V+1], or [channels, vectors, V+1] along pixels."""
        y = numerics.post_process(self.keys.astype(np.int64), self.params[: self.keys.shape[1]])
        form = self.hw.formats.second
        return numerics.requantize(y.T if self.transpose else y, form, self.hw.guard_bits)

    def expected(self) -> npt.NDArray[np.int64]:
        hw, w, x = self.hw, self.second.astype(np.int64), self.queries.astype(np.int64)
        dots = np.einsum("nvi,kvi->nkv", x[..., :-1], w[..., :-1])
        scale = x[:, None, :, -1] * w[None, :, :, -1]
        if hw.product_shift:
            scale = np.minimum(
                (scale + (1 << hw.product_shift - 1)) >> hw.product_shift, (1 << hw.product_bits) - 1
            )
        return np.asarray((dots * scale).sum(axis=-1)) << self.shift

    def program(self) -> Program:
        hw, lanes = self.hw, self.hw.output_lanes
        count, channels = self.keys.shape
        blocks, queries, vectors = -(-channels // lanes), len(self.queries), self.queries.shape[1]
        rows = channels if self.transpose else count  # of the second operand
        wide, groups = 4 * blocks * lanes, -(-rows // lanes)
        assert len(self.params) == blocks * lanes
        at = {"uop": 0, "par": 256}
        at["keys"] = aligned(256 + blocks * hw.record_bytes["par"])
        at["queries"] = aligned(at["keys"] + count * wide)
        at["second"] = aligned(at["queries"] + queries * vectors * hw.record_bytes["inp"])
        at["scores"] = aligned(at["second"] + rows * vectors * hw.second_record_bytes)
        end = at["scores"] + queries * groups * 4 * lanes
        # The last lanes of a block of channels hold none; a vector that only they fill is left out.
        skip = blocks * lanes - channels if self.transpose else -(-blocks * lanes // hw.vector_size) - vectors
        fields = {"pixels": count, "blocks": blocks, "transpose": int(self.transpose), "second": 1}
        last = rows - (groups - 1) * lanes
        gathers = [
            load(
                "wgt",
                group * vectors,
                at["second"] + group * lanes * vectors * hw.second_record_bytes,
                vectors,
                "pop_store" * (group == 0) + " push_compute" * (group == groups - 1),
                gather=1,
                lane_stride=vectors,
                lanes=last if group == groups - 1 else lanes,
            )
            for group in range(groups)
        ]
        uops = [(group, v, group * vectors + v) for v in range(vectors) for group in range(groups)]
        loops = {"iter_out": queries, "iter_in": 1, "acc_out": groups, "inp_out": vectors}
        tokens = "pop_load pop_ppu push_store"
        insns = [
            load("uop", 0, 0, len(uops)),
            load("par", 0, 256, blocks),
            load("inp", 0, at["queries"], queries * vectors),
            load("acc", 0, at["keys"], count * blocks, "push_ppu"),
            insn("PPU", "pop_load push_store push_compute", skip_vectors=skip, **fields),
            store("out", 0, at["second"], rows * vectors, "pop_ppu push_load", second=1),
            *gathers,
            insn("GEMM", tokens, fresh_uops=groups, uop_count=len(uops), shift=self.shift, **loops),
            store("acc", 0, at["scores"], queries * groups, "pop_compute"),
            insn("FINISH"),
        ]
        image = isa.encode_uops(uops, hw).ljust(256, b"\0") + pack_params(self.params)
        size = hw.vector_size + 1
        return Program(
            hw,
            insns,
            image,
            end,
            [
                [1, at["keys"], count, channels, 1],
                [0, at["queries"], queries * vectors, size, 1],
            ],
            [[1, at["scores"], queries, groups * lanes, 1], [2, at["second"], rows * vectors, size, 1]],
        )


def random_product(rng: np.random.Generator, transpose: bool) -> Product:
    hw = hardware(**random_formats(rng, DEPTHS))
    size, lanes = hw.vector_size, hw.output_lanes
    count = int(rng.integers(1, 2 * size)) if transpose else int(rng.integers(1, 2 * lanes))
    channels = int(rng.integers(1, 2 * lanes)) if transpose else int(rng.integers(1, 2 * size))
    blocks = -(-channels // lanes)
    vectors = -(-(count if transpose else channels) // size)
    keys = rng.integers(-(2**20), 2**20, (count, channels), np.int32)
    params = np.stack(
        [
            rng.integers(1, 2**16, blocks * lanes),
            rng.integers(16, 24, blocks * lanes),
            rng.integers(-99, 99, blocks * lanes),
            np.full(blocks * lanes, INT32_MAX),
        ],
        axis=1,
    ).astype(np.int32)
    params[channels:, :3] = 0
    queries = vectors_of(rng, hw.formats.activation, int(rng.integers(1, 4)), vectors)
    product = Product(hw, queries, keys, params, transpose)
    # STORE takes int32.
    room = 31 - int(np.abs(product.expected()).max()).bit_length()
    return replace(product, shift=int(rng.integers(0, min(16, room) + 1)))


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_a_product_of_two_activations_agrees_with_numpy(seed: int, transpose: bool) -> None:
    product = random_product(np.random.default_rng(seed), transpose)
    lanes = product.hw.output_lanes
    second = product.second
    scores = np.full((len(product.queries), -(-len(second) // lanes) * lanes), -1, np.int32)
    stored = np.zeros(second.shape, np.int16)
    expected = product.expected()
    program = product.program()
    call(program, product.keys, product.queries, scores, stored)
    machine = second_reading(program, product.keys, product.queries)
    np.testing.assert_array_equal(machine.read_output(0, scores.shape), scores)
    np.testing.assert_array_equal(machine.read_output(1, stored.shape), stored)
    np.testing.assert_array_equal(stored, second)
    np.testing.assert_array_equal(scores[:, : len(second)], expected)
    assert not scores[:, len(second) :].any()  # lanes that are not gathered


def test_gathered_bytes_that_no_vector_has_name_entry_and_lane() -> None:
    hw = hardware()
    insns = [
        load("wgt", 3, 64, 2, "push_store", gather=1, lanes=2, lane_stride=2),
        insn("FINISH", "pop_load"),
    ]
    image = bytearray(128)
    image[64 + 3 * 5] = 0x80  # second element of the second record of lane 1
    module = Program(hw, insns, bytes(image), 1024).module()
    with pytest.raises(
        ValueError, match="wgt entry 4, lane 1: element 1 is -8, which no vector of the second"
    ):
        module["main"]()
