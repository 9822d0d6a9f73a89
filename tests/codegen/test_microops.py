"""Loop nests fold into GEMM instructions without losing or repeating a micro-op; the micro-op cache."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.codegen.microops import MicroLoop, fold_loops
from tvm_vsq.codegen.uops import UopCache

LOOPS = st.lists(
    st.builds(MicroLoop, st.integers(1, 7), st.tuples(*[st.integers(0, 9)] * 3)), min_size=0, max_size=4
)


def expand(loops, base=(0, 0, 0)):
    for index in product(*(range(loop.extent) for loop in loops)):
        yield tuple(
            b + sum(i * loop.step[axis] for i, loop in zip(index, loops, strict=True))
            for axis, b in enumerate(base)
        )


@given(LOOPS, st.integers(2, 8), st.integers(1, 9))
def test_folding_keeps_every_micro_op(loops, extent_limit, uop_limit):
    found = Counter()
    for program in fold_loops(tuple(loops), extent_limit, uop_limit):
        assert 1 <= len(program.offsets) <= uop_limit
        assert max(program.outer.extent, program.inner.extent) <= extent_limit
        for row in program.offsets.tolist():
            found.update(expand((program.outer, program.inner), row))
    assert found == Counter(expand(loops))


def test_a_pointwise_tile_needs_one_micro_op_per_channel_pair():
    """Rows and columns join where nothing lies between them; then the two longest loops are free."""
    loops = (
        MicroLoop(7, (14 * 2, 14 * 4, 0)),
        MicroLoop(14, (2, 4, 0)),
        MicroLoop(2, (1, 0, 4)),
        MicroLoop(4, (0, 1, 1)),
    )
    (program,) = fold_loops(loops, 1023, 100)
    assert (program.outer.extent, program.inner.extent, len(program.offsets)) == (98, 4, 2)


def uops(first, count):
    return np.array([[first, i % 64, i // 64] for i in range(count)], dtype=np.int64)


def test_equal_lists_are_loaded_once_and_stored_once(cases):
    cache = UopCache(cases.hardware())
    begin, loads = cache.fetch(uops(0, 10), 0)
    size = len(cache.image)
    assert [step.insn.fields["z_size"] for step in loads] == [10]
    assert cache.fetch(uops(0, 10), 1) == (begin, [])
    assert len(cache.image) == size


def test_an_evicted_list_is_loaded_again_from_the_same_place(cases):
    cache = UopCache(cases.hardware())
    _, first = cache.fetch(uops(0, cache.longest("GEMM")), 0)
    for number in range(1, 4):
        cache.fetch(uops(number, cache.longest("GEMM")), 0)
    size = len(cache.image)
    _, again = cache.fetch(uops(0, cache.longest("GEMM")), 0)
    assert [s.insn.fields["dram_base"] for s in again] == [s.insn.fields["dram_base"] for s in first]
    assert len(cache.image) == size


def test_lists_in_the_scratchpad_never_overlap(cases):
    cache = UopCache(cases.hardware())
    held = {}
    for number in range(40):
        count = 1 + number * 37 % cache.longest("GEMM")
        begin, _ = cache.fetch(uops(number, count), 0)
        assert begin + count <= cases.hardware().depths["uop"]
        held = {n: (a, b) for n, (a, b) in held.items() if b <= begin or begin + count <= a}
        held[number] = (begin, begin + count)
        newest = [n for n in held if cache.fetch(uops(n, 1 + n * 37 % cache.longest("GEMM")), 0)[1] == []]
        assert newest == list(held)


@given(LOOPS, st.integers(2, 8), st.integers(1, 9))
def test_the_first_visit_of_each_accumulator_begins_its_reduction(loops, extent_limit, uop_limit):
    """In nests as they are: only loops that reduce leave the accumulators alone, no two of others meet."""
    strides, stride = [], 1
    for loop in loops:
        strides.append(0 if loop.step[0] == 0 else stride)
        stride *= loop.extent if loop.step[0] else 1
    nest = tuple(
        MicroLoop(loop.extent, (step, *loop.step[1:])) for loop, step in zip(loops, strides, strict=True)
    )
    visited = set()
    for program in fold_loops(nest, extent_limit, uop_limit):
        outer, inner = program.outer, program.inner
        for o, i, u in product(range(outer.extent), range(inner.extent), range(len(program.offsets))):
            entry = int(program.offsets[u][0]) + o * outer.step[0] + i * inner.step[0]
            begins = u < program.fresh and not (o and outer.reduces) and not (i and inner.reduces)
            assert begins == (entry not in visited)
            visited.add(entry)
    assert visited == {place[0] for place in expand(nest)}
