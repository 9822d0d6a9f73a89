"""What a schedule needs of each scratchpad: what is said about it is what the emitter allocates."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tvm_vsq.codegen.emit import LayerEmitter, PostOp
from tvm_vsq.codegen.lower import lower_layer
from tvm_vsq.codegen.places import Places
from tvm_vsq.codegen.uops import UopCache
from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import load_hardware
from tvm_vsq.schedule import (
    Convolution,
    candidates,
    default_knobs,
    explain_misfit,
    fits,
    footprint,
    nest_of,
    place,
    require_fit,
)
from tvm_vsq.schedule.tiling import all_tiles, variants

BASE = load_hardware("vsq-accel")
TITLES = {"input": "inp", "weight": "wgt", "accumulator": "acc", "parameter": "par", "output": "out"}


def hardware(vector=16, lanes=16, **kib):
    pads = BASE.scratchpads.model_copy(update=kib)
    return BASE.model_copy(update={"vector_size": vector, "output_lanes": lanes, "scratchpads": pads})


def all_knobs(work, hw):
    """Every combination of perfect tiles, loop order and buffering, whether it fits or not."""
    nest = nest_of(work, hw)
    return [knobs for tiles in all_tiles(nest) for knobs in variants(nest, tiles)]


TINY = hardware(inp_kib=1, wgt_kib=4, acc_kib=2, out_kib=1, par_kib=1)


@st.composite
def workloads(draw, lanes=1):
    """Any layer; `lanes` blocks make a channel group."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    image = [draw(st.integers(d * (k - 1) + 1, 14)) for k, d in zip(kernel, dilation, strict=True)]
    return Convolution(
        draw(st.integers(1, 2)),
        *image,
        draw(st.integers(1, 6)),
        lanes * draw(st.integers(1, 5)),
        *kernel,
        strides=draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        padding=draw(st.tuples(*[st.integers(0, 3)] * 4)),
        dilation=dilation,
        has_residual=draw(st.booleans()),
        wide=draw(st.booleans()),
    )


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_emitter_allocates_what_footprint_says(data):
    hw = hardware(*data.draw(st.sampled_from([(16, 16), (16, 4), (8, 32), (32, 8)])))
    work = data.draw(workloads(hw.group_blocks))
    knobs = data.draw(st.sampled_from(all_knobs(work, hw)))
    assume(fits(work, knobs, hw))
    nest, homes = lower_layer(work, knobs, hw), place(work, knobs, hw)
    assert {b.name: (b.scratchpad, b.entries) for b in nest.buffers} == {
        name: (home.scratchpad, home.entries) for name, home in homes.items()
    }
    slots = {name: home.slots for name, home in homes.items()}
    places = Places(hw)
    for _ in range(3):
        emitter = LayerEmitter(nest, slots, {}, PostOp(), 0, hw, UopCache(hw), places)
        assert {pad: n for pad, n in footprint(work, knobs, hw).items() if n} == emitter.used
        taken = sorted(
            (s.buffer.scratchpad, s.base, s.base + s.buffer.entries * s.count)
            for s in emitter.buffers.values()
        )
        for pad, first, end in taken:
            assert 0 <= first < end <= hw.depths[pad]
        for (pad, _, end), (other, first, _) in pairwise(taken):
            assert pad != other or end <= first


@settings(max_examples=60, deadline=None)
@given(work=workloads())
def test_candidates_are_the_fitting_ones_and_none_else(work):
    legal = candidates(work, TINY)
    for knobs in all_knobs(work, TINY):
        used = footprint(work, knobs, TINY)
        roomy = all(used[pad] <= TINY.depths[pad] for pad in used)
        assert (knobs in legal) == roomy == (explain_misfit(work, knobs, TINY, "x") is None)


@settings(max_examples=60, deadline=None)
@given(work=workloads(), data=st.data())
def test_a_misfit_names_layer_scratchpad_and_entries_too_few(work, data):
    wrong = [knobs for knobs in all_knobs(work, TINY) if not fits(work, knobs, TINY)]
    assume(wrong)
    knobs = data.draw(st.sampled_from(wrong))
    with pytest.raises(ScheduleError) as error:
        require_fit(work, knobs, TINY, "conv7")
    text = str(error.value)
    assert text == explain_misfit(work, knobs, TINY, "conv7")
    assert text.startswith("layer 'conv7' with Knobs(")
    said = {
        TITLES[title]: tuple(map(int, numbers))
        for title, *numbers in re.findall(
            r"the (\w+) scratchpad needs (\d+) entries and has (\d+), (\d+) too few", text
        )
    }
    used, depths = footprint(work, knobs, TINY), TINY.depths
    assert said == {p: (used[p], depths[p], used[p] - depths[p]) for p in used if used[p] > depths[p]}


@settings(max_examples=30, deadline=None)
@given(work=workloads())
def test_the_default_is_legal_and_double_buffered_where_that_fits(work):
    legal = candidates(work, TINY)
    if not legal:
        with pytest.raises(ScheduleError, match=r"no schedule fits.*layer 'conv7'.*\d+ too few"):
            default_knobs(work, TINY, "conv7")
        return
    knobs = default_knobs(work, TINY, "conv7")
    require_fit(work, knobs, TINY, "conv7")
    # A larger tile in single slots may win; the same tile in two slots never loses.
    if not knobs.double_buffer:
        assert not fits(work, replace(knobs, double_buffer=True), TINY)


@pytest.mark.parametrize(
    ("work", "kib", "text"),
    [
        (Convolution(1, 99, 99, 1, 1, 40, 40), {"wgt_kib": 128}, "the input scratchpad needs 1600 entries"),
        (Convolution(1, 9, 9, 1, 1, 9, 9), {"inp_kib": 16}, "the weight scratchpad needs 81 entries"),
    ],
)
def test_a_layer_that_fits_in_no_tile_is_refused_with_the_excess(work, kib, text):
    hw = hardware(**{"inp_kib": 1, "wgt_kib": 4, "acc_kib": 2, "out_kib": 1, "par_kib": 1} | kib)
    with pytest.raises(ScheduleError, match=rf"even the smallest tile fails\. layer 'huge'.*{text}.*too few"):
        default_knobs(work, hw, "huge")
