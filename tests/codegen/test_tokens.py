"""Dependency tokens: enough of them, none too many, never more than a queue holds."""

from __future__ import annotations

import pytest

from tvm_vsq.codegen.step import Step
from tvm_vsq.codegen.tokens import order_steps
from tvm_vsq.isa import Insn


def load(entries, dram=None):
    reads = () if dram is None else (("dram", *dram),)
    return Step(Insn("LOAD"), 0, reads=reads, writes=(("inp", *entries),))


def gemm(entries, acc=(0, 4)):
    return Step(Insn("GEMM"), 0, reads=(("inp", *entries),), writes=(("acc", *acc),))


def ppu(out, residual=None):
    reads = (("acc", 0, 4),) if residual is None else (("acc", 0, 4), ("inp", *residual))
    return Step(Insn("PPU"), 0, reads=reads, writes=(("out", *out),))


def store(out, dram=None):
    writes = () if dram is None else (("dram", *dram),)
    return Step(Insn("STORE"), 0, reads=(("out", *out),), writes=writes)


def listing(steps, depth=8):
    return [" ".join([s.insn.name, *sorted(s.insn.tokens)]) for s in order_steps(steps, depth)]


def test_a_tile_passes_from_engine_to_engine():
    assert listing([load((0, 4)), gemm((0, 4)), ppu((0, 4)), store((0, 4))]) == [
        "LOAD push_compute",
        "GEMM pop_load push_ppu",
        "PPU pop_compute push_store",
        "STORE pop_ppu",
        "FINISH",
    ]


def test_two_slots_let_the_second_load_run_ahead_and_the_third_wait():
    slots = [(0, 4), (4, 8), (0, 4)]
    steps = [step for slot in slots for step in (load(slot), gemm(slot))] + [ppu((0, 4)), store((0, 4))]
    assert [line for line in listing(steps) if line.startswith("LOAD")] == [
        "LOAD push_compute",
        "LOAD push_compute",
        "LOAD pop_compute push_compute",
    ]


def test_overlapping_entries_conflict_whatever_their_boundaries():
    steps = [load((0, 4)), gemm((1, 3)), load((2, 9)), gemm((8, 9)), ppu((0, 4)), store((0, 4))]
    assert listing(steps)[:3] == [
        "LOAD push_compute",
        "GEMM pop_load push_load",
        "LOAD pop_compute push_compute",
    ]


def test_one_wait_serves_all_loads_before_it():
    steps = [load((0, 4)), load((4, 8)), gemm((0, 4)), gemm((4, 8)), ppu((0, 4)), store((0, 4))]
    # The first GEMM waits for the first load only, so that it can start before the second has arrived.
    assert listing(steps)[:4] == [
        "LOAD push_compute",
        "LOAD push_compute",
        "GEMM pop_load",
        "GEMM pop_load push_ppu",
    ]
    joined = [load((0, 4)), load((4, 8)), gemm((0, 8)), ppu((0, 4)), store((0, 4))]
    assert listing(joined)[:3] == ["LOAD", "LOAD push_compute", "GEMM pop_load push_ppu"]


def test_the_next_accumulation_waits_for_the_ppu_that_reads_the_last_one():
    steps = [load((0, 4)), gemm((0, 4)), ppu((0, 4)), gemm((0, 4)), ppu((4, 8)), store((0, 8))]
    assert listing(steps)[2:5] == [
        "PPU pop_compute push_compute",
        "GEMM pop_ppu push_ppu",
        "PPU pop_compute push_store",
    ]


def test_two_engines_may_read_the_same_entries_unordered():
    steps = [
        load((0, 4)),
        gemm((0, 4)),
        ppu((0, 4), residual=(0, 4)),
        gemm((0, 4), acc=(4, 8)),
        store((0, 4)),
    ]
    # The PPU reads what the second GEMM reads; and it has waited for the load by waiting for the first GEMM.
    assert listing(steps)[2:4] == ["PPU pop_compute push_store", "GEMM push_store"]


def test_a_load_waits_for_all_who_read_what_it_overwrites():
    steps = [load((0, 8)), gemm((0, 4)), ppu((0, 4), residual=(4, 8)), load((0, 8)), store((0, 4))]
    # The PPU comes after the GEMM, so a wait for it is one for both.
    assert listing(steps)[3] == "LOAD pop_ppu push_store"


def test_a_load_of_stored_bytes_waits_for_the_store():
    first = [load((0, 4)), gemm((0, 4)), ppu((0, 4)), store((0, 4), dram=(0, 8))]
    second = [load((4, 8), dram=(4, 6)), gemm((4, 8)), ppu((4, 8)), store((4, 8))]
    assert listing(first + second)[3:5] == ["STORE pop_ppu push_load", "LOAD pop_store push_compute"]


def test_bytes_that_nobody_stored_need_no_wait():
    first = [load((0, 4)), gemm((0, 4)), ppu((0, 4)), store((0, 4), dram=(0, 8))]
    second = [load((4, 8), dram=(8, 9)), gemm((4, 8)), ppu((4, 8)), store((4, 8))]
    assert not any("pop_store" in line for line in listing(first + second))


def test_a_second_load_of_the_same_bytes_needs_no_second_wait():
    first = [load((0, 4)), gemm((0, 4)), ppu((0, 4)), store((0, 4), dram=(0, 8))]
    more = [load((4, 8), dram=(0, 4)), load((8, 12), dram=(4, 8)), gemm((4, 12))]
    assert sum("pop_store" in line for line in listing([*first, *more, ppu((4, 8)), store((4, 8))])) == 1


def test_a_store_waits_for_the_loads_of_what_it_overwrites():
    """Tensors share bytes of DRAM; one of these loads has nobody else to wait for it."""
    steps = [
        load((0, 4)),
        gemm((0, 4)),
        ppu((0, 8)),
        load((4, 8), dram=(0, 8)),
        store((0, 4), dram=(8, 16)),
        store((4, 8), dram=(7, 9)),
    ]
    assert listing(steps)[3:6] == ["LOAD push_store", "STORE pop_ppu", "STORE pop_load"]


def test_finish_waits_for_engines_whose_work_nothing_else_waits_for():
    steps = [load((0, 4)), gemm((0, 4)), ppu((0, 4)), store((0, 4)), load((4, 8))]
    assert listing(steps)[4:] == ["LOAD push_store", "FINISH pop_load"]


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_open_tokens_never_exceed_the_queue(depth):
    loads = [load((4 * i, 4 * i + 4)) for i in range(6)]
    gemms = [gemm((4 * i, 4 * i + 4)) for i in range(6)]
    steps = order_steps([*loads, *gemms, ppu((0, 4)), store((0, 4))], depth)
    open_now = most = 0
    for step in steps:
        if step.engine == "load":
            open_now += "push_compute" in step.insn.tokens
        elif step.engine == "compute":
            open_now -= "pop_load" in step.insn.tokens
        most = max(most, open_now)
    assert most == depth
    assert open_now == 0
