"""Layers get scratchpad entries that the layers just before them leave free."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.codegen.places import Places
from tvm_vsq.hardware import load_hardware

HARDWARE = load_hardware("vsq-accel")
DEPTH = HARDWARE.depths["inp"]


def taken(*sizes):
    places = Places(HARDWARE)
    return [(start := places.take("inp", size), start + size) for size in sizes]


def common(one, other):
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))


@given(st.lists(st.integers(1, DEPTH), max_size=12))
def test_all_of_it_fits_and_neighbours_share_no_more_than_they_must(sizes):
    found = taken(*sizes)
    assert all(start >= 0 and end <= DEPTH for start, end in found)
    for one, other in pairwise(found):
        (a, b), (c, d) = one, other
        room = max(a, DEPTH - b)  # beside the one before
        assert common(one, other) == min(b - a, max(0, (d - c) - room))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_layers_that_fit_together_lie_apart(count):
    found = taken(*[DEPTH // count] * count)
    assert all(common(found[i], found[j]) == 0 for i in range(count) for j in range(i))


def test_scratchpads_are_apart():
    places = Places(HARDWARE)
    assert places.take("inp", DEPTH) == places.take("out", 1) == places.take("inp", DEPTH) == 0
