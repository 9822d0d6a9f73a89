"""Layers that are no convolutions: all that schedule/ and codegen/ must know of them is their loop nest."""

from __future__ import annotations

import numpy as np
import pytest

from tvm_vsq.codegen import DramTensor, PostOp
from tvm_vsq.codegen.build import layer_steps
from tvm_vsq.codegen.lower import lower_layer
from tvm_vsq.codegen.nest import Copy, Loop
from tvm_vsq.codegen.uops import UopCache
from tvm_vsq.schedule import Knobs, candidates, default_knobs, footprint, nest_of, place
from tvm_vsq.schedule.cost import estimate_cycles
from tvm_vsq.schedule.footprint import misfits

SIZES = [(8, 8), (32, 8)]


def leaves(nodes):
    for node in nodes:
        if isinstance(node, Loop):
            yield from leaves(node.body)
        else:
            yield node


def test_channels_of_a_pooling_layer_are_parallel_and_change_its_input(cases, vector_unit):
    hw = cases.hardware()
    work = vector_unit.Pool(2, 9, 9, 4, (3, 3), (2, 2), (1, 1, 1, 1))
    homes = place(work, Knobs(5, 5, 2, 1), hw)
    assert homes.keys() == {"inp", "par", "acc"}
    # Two images, two halves of the channels; 11 x 11 pixels of two vectors, with halo.
    assert (homes["inp"].fills, homes["inp"].entries, homes["inp"].slots) == (4, 11 * 11 * 2, 2)
    assert (homes["acc"].fills, homes["acc"].entries) == (4, 5 * 5 * 2)
    assert footprint(work, Knobs(5, 5, 2, 1), hw)["wgt"] == 0


def test_both_operands_of_a_sum_lie_in_the_input_scratchpad(cases, vector_unit):
    hw = cases.hardware()
    work = vector_unit.Pool(1, 4, 6, 2, adds=True, wide=False)
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
    assert footprint(work, knobs, hw) == {"inp": 48, "wgt": 0, "acc": 12, "par": 2, "out": 24}


def test_candidates_tile_only_dimensions_that_there_are(cases, vector_unit):
    hw = cases.hardware()
    work = vector_unit.Pool(1, 9, 9, 4, (3, 3), (2, 2), (1, 1, 1, 1))
    found = candidates(work, hw)
    assert {knobs.tile_c for knobs in found} == {1}
    assert {knobs.tile_k for knobs in found} == {1, 2, 4}
    default = default_knobs(work, hw, "pool")
    assert estimate_cycles(work, default, hw) == min(estimate_cycles(work, knobs, hw) for knobs in found)


def test_a_misfit_names_the_knobs_by_which_the_operand_shrinks(cases, vector_unit):
    work = vector_unit.Pool(1, 40, 40, 4, (3, 3))
    (text, *_) = misfits(work, Knobs(38, 38, 4, 1), cases.hardware())
    assert "the input scratchpad needs 6400 entries" in text
    assert "; lower tile_h, tile_w or tile_k, or raise scratchpads.inp_kib" in text


@pytest.mark.parametrize(("vector", "lanes"), SIZES)
def test_every_operand_is_lowered_to_the_copies_and_leaves_of_its_nest(cases, vector_unit, vector, lanes):
    hw = cases.hardware(vector_size=vector, output_lanes=lanes, scratchpads={"inp_kib": 4})
    work = vector_unit.Pool(1, 8, 6, 2, adds=True, wide=False)
    knobs = Knobs(2, 6, hw.group_blocks, 1)
    nest = lower_layer(work, knobs, hw)
    homes = place(work, knobs, hw)
    assert {b.name: (b.scratchpad, b.entries) for b in nest.buffers} == {
        name: (home.scratchpad, home.entries) for name, home in homes.items()
    }
    found = list(leaves(nest.body))
    copies = [(leaf.buffer, leaf.is_load) for leaf in found if isinstance(leaf, Copy)]
    assert sorted(copies) == [("inp", True), ("out", False), ("par", True), ("res", True)]
    assert [leaf.name for leaf in found if isinstance(leaf, vector_unit.Vector)] == [vector_unit.MOVE]


def run(vector_unit, work, knobs, hw, x):
    """The layer by itself: int64 [n, rows, columns, channels]."""
    nest, uops = nest_of(work, hw), UopCache(hw)
    pixels, records = x.shape[0] * x.shape[1] * x.shape[2], x.shape[3]
    blocks = work.groups * hw.group_blocks
    results = work.n * work.out[0] * work.out[1]
    tensors = {
        "inp": DramTensor("x", pixels, records, records, True),
        "acc": DramTensor("y", results, 0, blocks, True, blocks * hw.output_lanes),
    }
    constants = {operand.name: operand.title for operand in nest.constants}
    steps = layer_steps(work, knobs, PostOp(), constants, tensors, (0, "pool"), uops)
    vectors = x.reshape(-1, x.shape[-1])
    stored = vector_unit.execute(steps, bytes(uops.image), hw, vectors, results * blocks)
    return stored.reshape(work.n, *work.out, -1)


@pytest.mark.parametrize("seed", range(12))
def test_windows_of_pooling_end_where_the_image_does(cases, vector_unit, seed):
    rng = np.random.default_rng(seed)
    vector, lanes = SIZES[seed % 2]
    hw = cases.hardware(
        vector_size=vector, output_lanes=lanes, scratchpads={"inp_kib": 8, "acc_kib": 16, "uop_kib": 1}
    )
    kernel = tuple(int(k) for k in rng.integers(1, 5, 2))
    top, left, bottom, right = (int(rng.integers(0, kernel[i % 2])) for i in range(4))
    size = [int(rng.integers(k, 10)) for k in kernel]
    strides = tuple(int(s) for s in rng.integers(1, 4, 2))
    work = vector_unit.Pool(2, *size, int(rng.integers(1, 4)), kernel, strides, (top, left, bottom, right))
    x = rng.integers(-7, 8, (2, *size, work.groups, vector + 1)).astype(np.int16)
    x[..., :-1] -= 8  # all negative: a zero of the border would win
    x[..., -1] = rng.integers(1, 16, x.shape[:-1])
    found = candidates(work, hw)
    y = run(vector_unit, work, found[int(rng.integers(len(found)))], hw, x)

    values = (x[..., :-1].astype(np.int64) * x[..., -1:]).reshape(2, *size, -1)
    border = ((0, 0), (top, bottom), (left, right), (0, 0))
    padded = np.pad(values, border, constant_values=np.iinfo(np.int64).min)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, (1, 2))
    np.testing.assert_array_equal(y, windows[:, :: strides[0], :: strides[1]].max((-2, -1)))
