"""Layers that are no convolutions: placed, tiled, lowered and clipped by their loop nests alone."""

from __future__ import annotations

import numpy as np
import pytest
from tests.seeds import first_of

from tvm_vsq.codegen.lower import lower_layer
from tvm_vsq.codegen.nest import Copy, Loop
from tvm_vsq.codegen.vector import Vector
from tvm_vsq.ops.add.lower import Sum
from tvm_vsq.ops.max_pool2d.lower import Pooling
from tvm_vsq.schedule import Knobs, candidates, default_knobs, footprint, place
from tvm_vsq.schedule.cost import estimate_cycles
from tvm_vsq.schedule.footprint import misfits

SIZES = [(8, 8), (32, 8)]


def pooling(n, h, w, kb, kernel, strides=(1, 1), padding=(0, 0, 0, 0)):
    return Pooling(n, h, w, kb, kernel, strides, padding, (1, 1), has_residual=False, wide=True)


def leaves(nodes):
    for node in nodes:
        if isinstance(node, Loop):
            yield from leaves(node.body)
        else:
            yield node


def test_channels_of_a_pooling_layer_are_parallel_and_change_its_input(cases):
    hw = cases.hardware()
    work = pooling(2, 9, 9, 4, (3, 3), (2, 2), (1, 1, 1, 1))
    homes = place(work, Knobs(5, 5, 2, 1), hw)
    assert homes.keys() == {"inp", "par", "acc"}
    # Two images, two halves of the channels; 11 x 11 pixels of two vectors, with halo.
    assert (homes["inp"].fills, homes["inp"].entries, homes["inp"].slots) == (4, 11 * 11 * 2, 2)
    assert (homes["acc"].fills, homes["acc"].entries) == (4, 5 * 5 * 2)
    assert footprint(work, Knobs(5, 5, 2, 1), hw)["wgt"] == 0


def test_both_operands_of_a_sum_lie_in_the_input_scratchpad(cases):
    hw = cases.hardware()
    work = Sum(1, 4, 6, 2, wide=False)
    knobs = Knobs(2, 6, 1, 1, "hw_outer")
    homes = place(work, knobs, hw)
    assert {name: home.entries for name, home in homes.items()} == {
        "inp": 12,
        "res": 12,
        "out": 12,
        "acc": 12,
        "par": 2,
    }
    assert {name: home.fills for name, home in homes.items() if name != "par"} == dict.fromkeys(
        ("inp", "res", "out", "acc"), 4
    )
    assert footprint(work, knobs, hw) == {"inp": 48, "wgt": 0, "acc": 24, "par": 2, "out": 24}


def test_candidates_tile_only_dimensions_that_there_are(cases):
    hw = cases.hardware()
    work = pooling(1, 9, 9, 4, (3, 3), (2, 2), (1, 1, 1, 1))
    found = candidates(work, hw)
    assert {knobs.tile_c for knobs in found} == {1}
    assert {knobs.tile_k for knobs in found} == {1, 2, 4}
    assert {(knobs.tile_r, knobs.tile_s) for knobs in found} == {(None, None)}
    default = default_knobs(work, hw, "pool")
    assert default in found
    assert estimate_cycles(work, default, hw) <= 1.01 * min(estimate_cycles(work, k, hw) for k in found)


def test_a_misfit_names_the_knobs_by_which_the_operand_shrinks(cases):
    work = pooling(1, 40, 40, 4, (3, 3))
    (text, *_) = misfits(work, Knobs(38, 38, 4, 1), cases.hardware())
    assert "the input scratchpad needs 6400 entries" in text
    assert "; lower tile_h, tile_w, tile_k, tile_r or tile_s, or raise scratchpads.inp_kib" in text


@pytest.mark.parametrize(("vector", "lanes"), SIZES)
def test_every_operand_is_lowered_to_the_copies_and_leaves_of_its_nest(cases, vector, lanes):
    hw = cases.hardware(vector_size=vector, output_lanes=lanes, scratchpads={"inp_kib": 4})
    work = Sum(1, 8, 6, 2 * hw.group_blocks, wide=False)
    knobs = Knobs(2, 6, hw.group_blocks, 1)
    nest = lower_layer(work, knobs, hw)
    homes = place(work, knobs, hw)
    assert {b.name: (b.scratchpad, b.entries) for b in nest.buffers} == {
        name: (home.scratchpad, home.entries) for name, home in homes.items()
    }
    found = list(leaves(nest.body))
    copies = [(leaf.buffer, leaf.is_load) for leaf in found if isinstance(leaf, Copy)]
    assert sorted(copies) == [("inp", True), ("out", False), ("par", True), ("res", True)]
    assert [leaf.op for leaf in found if isinstance(leaf, Vector)] == ["mov"]


@pytest.mark.parametrize("counts", [None, False, True], ids=["largest", "average", "average with padding"])
@pytest.mark.parametrize("seed", first_of(range(12), 3))
def test_windows_of_pooling_end_where_the_image_does(cases, machine, seed, counts):
    """With any schedule; all elements are negative, so that a zero of the border would win, or count."""
    rng = np.random.default_rng(seed)
    vector, lanes = SIZES[seed % 2]
    hw = cases.hardware(
        vector_size=vector, output_lanes=lanes, scratchpads={"inp_kib": 8, "acc_kib": 16, "uop_kib": 1}
    )
    kernel = tuple(int(taps) for taps in rng.integers(1, 5, 2))
    padding = tuple(int(rng.integers(0, kernel[i % 2] // 2 + 1)) for i in range(4))
    size = [int(rng.integers(taps, 10)) for taps in kernel]
    strides = tuple(int(step) for step in rng.integers(1, 4, 2))
    network = cases.Network(hw, rng)
    network.input("x", (2, *size, int(rng.integers(1, 4)) * hw.group_channels))
    elements = network.values["x"][..., :-1]
    elements[...] = -np.maximum(1, np.abs(elements))
    counted = None if counts is None else padding if counts else (0, 0, 0, 0)
    network.pool(
        "x", kernel, strides=strides, padding=padding, counted=counted, wide=bool(seed % 3), output=True
    )
    network.draw_schedules()
    cases.check(machine, network, network.program(), machine.run_in_order)
