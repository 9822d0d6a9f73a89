"""Rows that take longer than the product they are made of are made ahead: the vector unit works on."""

from __future__ import annotations

from itertools import groupby

import pytest

from tvm_vsq.codegen import PostOp, emit, emit_layer
from tvm_vsq.formats.rows import Probabilities
from tvm_vsq.hardware import load_hardware
from tvm_vsq.isa import decode_all
from tvm_vsq.schedule import Knobs
from tvm_vsq.schedule.matrices import MatrixProduct
from tvm_vsq.schedule.rows import Rows
from tvm_vsq.schedule.with_rows import WithRows
from tvm_vsq.tuning import measure

HARDWARE = load_hardware("vsq-accel")
POST = PostOp(rows=Probabilities(argument_shift=4, exponent=20, masked=False), last_lanes=16)


def scores(vectors: int) -> WithRows:
    """Of heads of so many vectors, which then become probabilities."""
    rows = Rows(1, 12, 128, 8, "softmax", passes=4, reductions=2, tables=2, other=None, wide=False)
    return WithRows(MatrixProduct(1, 12, 128, vectors, 8, wide=True), rows)


def ppu(work: WithRows, knobs: Knobs) -> list[bool]:
    """For runs of PPU instructions, whether they make rows, or else results of rows."""
    insns = decode_all(emit_layer(work, knobs, HARDWARE, post=POST).instructions, HARDWARE)
    return [makes for makes, _ in groupby(bool(i.fields["wide"]) for i in insns if i.name == "PPU")]


TILES = 12 * 4


@pytest.mark.parametrize(("vectors", "ahead"), [(2, True), (4, True), (8, False), (16, False)])
def test_rows_are_made_ahead_where_that_is_faster(monkeypatch, vectors, ahead):
    """Else the PPU would wait for the array before it takes rows whose accumulators the array waits for."""
    work, knobs = scores(vectors), Knobs(1, 32, 1, vectors)
    cycles, order = measure(work, knobs, HARDWARE, POST), ppu(work, knobs)
    monkeypatch.setattr(emit.LayerEmitter, "_rows_ahead", lambda _: not ahead)
    others = measure(work, knobs, HARDWARE, POST)
    assert cycles < 0.9 * others
    assert order == [True, False] * (TILES - ahead)  # the first two tiles side by side, and the last two


def test_with_one_slot_nothing_is_made_ahead():
    """The next accumulators would lie where the rows of now are."""
    knobs = Knobs(1, 32, 1, 4, double_buffer=False)
    assert ppu(scores(4), knobs) == [True, False] * TILES
