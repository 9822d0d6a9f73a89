"""Constants are loaded ahead, and no LOAD passes a step that touches its scratchpad entries."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tvm_vsq.codegen.prefetch import prefetch
from tvm_vsq.codegen.step import Step
from tvm_vsq.hardware import load_hardware
from tvm_vsq.isa import LOAD_MEMORIES, Insn

HARDWARE = load_hardware("vsq-accel")


def load(memory, first, count, *, constant=True, dram=0, layer=0):
    fields = {
        "mem": LOAD_MEMORIES.index(memory),
        "sram_base": first,
        "dram_base": dram,
        "z_size": count,
        "x_size": 1,
        "y_size": 1,
    }
    return Step(
        Insn("LOAD", fields),
        layer,
        reads=() if constant else (("dram", 0, 1),),
        writes=((memory, first, first + count),),
        region="image" if constant else "x",
        constant=constant,
    )


def gemm(cycles, *reads):
    fields = {"uop_count": 1, "iter_out": cycles, "iter_in": 1}
    return Step(Insn("GEMM", fields), 0, reads=reads, writes=(("acc", 0, 1),))


def pieces(steps, memory="wgt"):
    """(index, first entry, entries, DRAM address) of the LOADs of a scratchpad."""
    code = LOAD_MEMORIES.index(memory)
    return [
        (i, f["sram_base"], f["z_size"], f["dram_base"])
        for i, step in enumerate(steps)
        if step.engine == "load" and (f := step.insn.fields)["mem"] == code
    ]


def test_a_load_passes_as_much_computation_as_hides_it():
    computing = [gemm(10) for _ in range(200)]
    found = prefetch([*computing, load("wgt", 0, 8), gemm(10, ("wgt", 0, 8))], HARDWARE)
    ((index, *_),) = pieces(found)
    transfer = 8 * HARDWARE.record_bytes["wgt"] // HARDWARE.dram.bytes_per_cycle
    assert 10 * (200 - index) >= transfer + HARDWARE.dram.latency_cycles
    assert index > 100  # and no more than a few times that


def test_a_long_one_moves_in_pieces_that_leave_room_between_them():
    computing = [gemm(100) for _ in range(200)]
    whole = load("wgt", 3, 100, dram=640)
    found = prefetch([*computing, whole, gemm(1, ("wgt", 3, 103))], HARDWARE)
    places = pieces(found)
    assert len(places) > 3
    assert sum(count for _, _, count, _ in places) == 100
    entry, address = 3, 640
    for _, first, count, dram in places:
        assert (first, dram) == (entry, address)
        entry, address = entry + count, address + count * HARDWARE.record_bytes["wgt"]
    indices = [index for index, *_ in places]
    assert all(b - a > 1 for a, b in pairwise(indices))


def test_what_reads_or_writes_the_entries_is_not_passed():
    user = gemm(10, ("wgt", 4, 9))
    found = prefetch([gemm(1000), user, gemm(10), load("wgt", 8, 2), gemm(1, ("wgt", 8, 10))], HARDWARE)
    ((index, *_),) = pieces(found)
    assert found.index(user) < index
    free = prefetch([gemm(1000), user, gemm(10), load("wgt", 9, 2), gemm(1, ("wgt", 9, 11))], HARDWARE)
    ((index, *_),) = pieces(free)
    assert index < free.index(user)


def test_behind_a_step_that_it_waits_for_the_next_pixels_are_loaded_first():
    pixels = load("inp", 0, 4, constant=False)
    steps = [
        gemm(50, ("wgt", 0, 4)),
        pixels,
        gemm(50, ("inp", 0, 4)),
        load("wgt", 0, 4),
        gemm(1, ("wgt", 0, 4)),
    ]
    found = prefetch(steps, HARDWARE)
    ((index, *_),) = pieces(found)
    assert found.index(pixels) < index == 2


def test_a_table_behind_its_product_is_not_what_pixels_are_loaded_for():
    table = Step(Insn("VEC", gemm(1).insn.fields), 0, reads=(("acc", 0, 1),), writes=(("acc", 0, 1),))
    pixels, more = load("inp", 0, 4, constant=False), load("acc", 0, 1, constant=False)
    rest = [gemm(50, ("inp", 0, 4)), load("wgt", 0, 4), gemm(1, ("wgt", 0, 4))]
    user = gemm(50, ("wgt", 0, 4))
    ((index, *_),) = pieces(prefetch([user, table, pixels, *rest], HARDWARE))
    assert index == 3
    ((index, *_),) = pieces(prefetch([user, more, table, pixels, *rest], HARDWARE))
    assert index == 2  # that is a sum with what is loaded


def test_what_is_stored_stays_and_what_nothing_precedes():
    steps = [load("wgt", 0, 500), gemm(900), load("inp", 0, 4, constant=False), gemm(9, ("inp", 0, 4))]
    assert prefetch(steps, HARDWARE) == steps


@pytest.mark.parametrize("seed", range(20))
def test_any_program_reads_what_it_read_before(seed):
    """Entries as names of what filled them last: whoever reads finds the same ones as in the given order."""
    rng = np.random.default_rng(seed)
    steps = []
    for number in range(60):
        first = int(rng.integers(0, 30))
        count = int(rng.integers(1, 40))
        if rng.random() < 0.5:
            steps.append(load("wgt", first, count, dram=64 * 1000 * number, constant=rng.random() < 0.8))
        else:
            steps.append(gemm(int(rng.integers(1, 2000)), ("wgt", first, first + count)))

    def seen(program):
        entries, found = {}, {}
        for step in program:
            fields = step.insn.fields
            if step.engine == "load":
                record = HARDWARE.record_bytes["wgt"]
                for i in range(fields["z_size"]):
                    entries[fields["sram_base"] + i] = fields["dram_base"] + i * record
            else:
                ((_, first, end),) = step.reads
                found[id(step)] = [entries.get(entry) for entry in range(first, end)]
        return found

    moved = prefetch(steps, HARDWARE)
    assert seen(moved) == seen(steps)
    assert [id(s) for s in moved if s.engine != "load"] == [id(s) for s in steps if s.engine != "load"]
