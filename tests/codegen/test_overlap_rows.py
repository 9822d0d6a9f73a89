"""The PPU makes rows before it takes those of the tile before where that pays and touches none of them."""

from __future__ import annotations

import torch
from tests.transformers_models import Encoder, batch

import tvm_vsq
from tvm_vsq.codegen.overlap_rows import overlap_rows
from tvm_vsq.codegen.step import Step
from tvm_vsq.isa import Insn


def loops(name, count, *touched):
    fields = {"uop_count": 1, "iter_out": count, "iter_in": 1}
    return Step(Insn(name, fields), 0, writes=tuple(touched))


def ppu(count, slot, makes_rows=False, out=()):
    touched = (("acc", 100 * slot, 100 * slot + 100), *out)
    return Step(Insn("PPU", {"pixels": count, "blocks": 1}), 0, writes=touched, makes_rows=makes_rows)


def tiles(body, vector, slots=2):
    """GEMM, PPU, VEC, PPU and STORE of three tiles, in their order."""
    found = []
    for tile in range(3):
        slot = tile % slots
        acc, out = ("acc", 100 * slot, 100 * slot + 100), ("out", 50 * tile, 50 * tile + 50)
        found += [
            loops("GEMM", body, acc),
            ppu(10, slot, makes_rows=True),
            loops("VEC", vector, acc),
            ppu(10, slot, out=[out]),
            Step(Insn("STORE", {}), 0, reads=(out,)),
        ]
    return found


def order(steps):
    return [f"{step.insn.name} rows" if step.makes_rows else step.insn.name for step in overlap_rows(steps)]


FIRST, REST = ["GEMM", "PPU rows", "VEC"], ["GEMM", "PPU rows", "PPU", "STORE", "VEC"]
IN_TURN = ["GEMM", "PPU rows", "VEC", "PPU", "STORE"] * 3


def test_rows_are_made_before_those_of_the_tile_before_are_taken():
    steps = tiles(body=80, vector=50)  # a VEC takes two cycles
    assert order(steps) == [*FIRST, *REST, *REST, "PPU", "STORE"]
    assert set(map(id, overlap_rows(steps))) == set(map(id, steps))


def test_not_where_the_array_takes_as_long_as_all_the_rest():
    assert order(tiles(body=120, vector=50)) == IN_TURN
    assert order(tiles(body=1000, vector=50)) == IN_TURN


def test_not_where_tiles_are_in_one_place():
    assert order(tiles(body=80, vector=50, slots=1)) == IN_TURN


def test_attention_is_sooner_done_with_the_same_results(monkeypatch):
    torch.manual_seed(0)
    model, given = Encoder("eager").eval(), batch(8, 32)
    network = tvm_vsq.fake_quantize(model, "4/4/4/4", example_inputs=given, calibration=[batch(8, 32)] * 2)
    (result, *_), cycles = found(network, given)
    monkeypatch.setattr("tvm_vsq.codegen.emit.overlap_rows", list)
    (before, *_), in_turn = found(network, given)
    assert torch.equal(result, before)
    assert cycles < 0.95 * in_turn


def found(network, given):
    exe = tvm_vsq.compile(network, network.hardware, strict=True)
    (layer,) = (layer for layer in exe.timing().layers if "softmax" in layer.name)
    return exe(**given), layer.cycles
