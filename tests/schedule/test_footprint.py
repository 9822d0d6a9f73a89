"""What a schedule needs of each scratchpad: what is said about it is what the emitter allocates."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise, product

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
    Knobs,
    candidates,
    default_knobs,
    explain_misfit,
    fits,
    footprint,
    nest_of,
    place,
    require_fit,
)
from tvm_vsq.schedule.cost import estimate_cycles
from tvm_vsq.schedule.rows import Rows
from tvm_vsq.schedule.space import space_of
from tvm_vsq.schedule.table import WithTable
from tvm_vsq.schedule.tiling import knobs_of, tile_sizes
from tvm_vsq.schedule.with_rows import WithRows

BASE = load_hardware("vsq-accel")
TITLES = {"input": "inp", "weight": "wgt", "accumulator": "acc", "parameter": "par", "output": "out"}


def hardware(vector=16, lanes=16, **kib):
    pads = BASE.scratchpads.model_copy(update=kib)
    return BASE.model_copy(update={"vector_size": vector, "output_lanes": lanes, "scratchpads": pads})


@st.composite
def any_knobs(draw, work, hw):
    """Tiles of any size, whether they fit or not."""
    nest = nest_of(work, hw)
    sizes = {dim.name: draw(st.integers(1, dim.extent)) for dim in nest.dims}
    return knobs_of(nest, sizes, draw(st.sampled_from(list(nest.orders))), draw(st.booleans()))


def all_knobs(work, hw):
    """Every sensible combination of tiles, loop order and buffering, whether it fits or not."""
    nest = nest_of(work, hw)
    choices = [tile_sizes(dim.extent) if dim.is_tiled else [dim.extent] for dim in nest.dims]
    for sizes in product(*choices):
        tile = dict(zip(nest.extents, sizes, strict=True))
        for order, double_buffer in product(nest.orders, (True, False)):
            yield knobs_of(nest, tile, order, double_buffer)


def is_considered(work, knobs, hw):
    """Whether the search looks at such tiles: images share one only if they are whole in it, and so do rows
    of a kernel, which is cut only if half of a scratchpad does not hold it.
    """
    nest, tile = nest_of(work, hw), nest_of(work, hw).tile(knobs).sizes
    kernel = {**dict.fromkeys(nest.extents, 1), "b": nest.extents["b"], "r": work.r, "s": work.s}
    small = all(2 * o.entries(kernel) <= nest.depths[o.scratchpad] for o in nest.operands)
    images = tile["n"] == 1 or (tile["h"], tile["w"]) == (work.oh, work.ow)
    taps = tile["r"] == 1 or tile["s"] == work.s
    return images and taps and (not small or (tile["r"], tile["s"]) == (work.r, work.s))


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
        draw(st.integers(1, 5 * lanes)),
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
    knobs = data.draw(any_knobs(work, hw))
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


@settings(max_examples=15, deadline=None)
@given(work=workloads(), data=st.data())
def test_candidates_are_the_fitting_ones_and_none_else(work, data):
    found = candidates(work, TINY)
    legal = set(found)
    assert len(legal) == len(found)
    everything = list(all_knobs(work, TINY))
    assert legal <= set(everything)
    assert all(is_considered(work, knobs, TINY) for knobs in found[:: 1 + len(found) // 300])
    for knobs in data.draw(st.lists(st.sampled_from(everything), max_size=300)):
        used = footprint(work, knobs, TINY)
        roomy = all(used[pad] <= TINY.depths[pad] for pad in used)
        assert roomy == (explain_misfit(work, knobs, TINY, "x") is None)
        assert (knobs in legal) == (roomy and is_considered(work, knobs, TINY))


@settings(max_examples=25, deadline=None)
@given(work=workloads())
def test_what_is_said_of_all_schedules_at_once_is_what_is_said_of_each(work):
    space = space_of(work, TINY)
    for index in range(0, len(space), 1 + len(space) // 40):
        knobs = space.at(index)
        require_fit(work, knobs, TINY, "conv7")
        assert space.estimates[index] == estimate_cycles(work, knobs, TINY)


@pytest.mark.parametrize("extent", [1, 2, 13, 56, 127])
def test_tile_sizes_are_the_smallest_for_every_number_of_tiles(extent):
    counts = {size: -(-extent // size) for size in range(1, extent + 1)}
    smallest = {count: min(s for s, c in counts.items() if c == count) for count in counts.values()}
    assert tile_sizes(extent) == sorted(smallest.values())


@settings(max_examples=60, deadline=None)
@given(work=workloads(), data=st.data())
def test_a_misfit_names_layer_scratchpad_and_entries_too_few(work, data):
    knobs = data.draw(any_knobs(work, TINY))
    assume(not fits(work, knobs, TINY))
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


@pytest.mark.parametrize(
    ("work", "is_even"), [(Convolution(1, 7, 7, 128, 32), True), (Convolution(1, 1, 509, 47, 191), False)]
)
def test_the_default_has_uneven_tiles_only_where_they_are_estimated_faster_by_a_hundredth(work, is_even):
    space = space_of(work, BASE)
    even = space.tiles.is_even[space.which]
    assert space.estimates[~even].min() < space.estimates[even].min()
    assert (space.estimates[even].min() <= 1.01 * space.estimates[~even].min()) == is_even
    knobs = default_knobs(work, BASE, "conv7")
    assert nest_of(work, BASE).tile(knobs).is_even == is_even
    assert estimate_cycles(work, knobs, BASE) == space.estimates[even if is_even else ~even].min()


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


@pytest.mark.parametrize("work", [Convolution(1, 99, 99, 3, 2, 40, 40), Convolution(1, 9, 9, 1, 1, 9, 9)])
def test_a_kernel_larger_than_the_scratchpads_is_cut(work):
    hw = hardware(inp_kib=1, wgt_kib=4, acc_kib=2, out_kib=1, par_kib=1)
    whole = replace(default_knobs(work, hw, "large"), tile_r=None, tile_s=None)
    assert not fits(work, whole, hw)
    require_fit(work, default_knobs(work, hw, "large"), hw, "large")


def test_a_layer_that_fits_in_no_tile_is_refused_with_the_excess():
    """A channel group is never cut: here, of four blocks."""
    hw = hardware(vector=64, lanes=16, inp_kib=1, wgt_kib=2, acc_kib=2, out_kib=1, par_kib=2)
    text = "the weight scratchpad needs 4 entries and has 3, 1 too few; raise"
    with pytest.raises(ScheduleError, match=rf"even the smallest tile fails\. layer 'huge'.*{text}"):
        default_knobs(Convolution(1, 9, 9, 1, 8, 9, 9), hw, "huge")


@pytest.mark.parametrize("blocks", range(1, 60))
def test_a_layer_with_a_table_fits_with_any_number_of_channels(blocks):
    """Parameters of either pass of the PPU that fill half of the scratchpad each leave the table no room."""
    work = WithTable(Convolution(1, 1, 16, 4, blocks))
    homes = place(work, default_knobs(work, BASE, "layer"), BASE)
    kept = [homes[name].whole for name in ("par", "par2")]
    table, depth = nest_of(work, BASE).entries["tab"], BASE.depths["par"]
    assert kept == [2 * blocks + table <= depth] * 2


def test_loop_orders_that_are_the_same_are_considered_once():
    """Rows are whole in every tile, so nothing is left of what the names of orders say."""
    rows = Rows(1, 1, 32, 2, "norm", passes=4, reductions=2, tables=1, other=None, wide=False)
    product, both = Convolution(1, 1, 32, 2, 2), {"k_outer", "hw_outer"}
    for work, orders in ((product, both), (rows, {"k_outer"}), (WithRows(product, rows), {"k_outer"})):
        found = candidates(work, BASE)
        assert {knobs.order for knobs in found} == orders
        assert fits(work, replace(found[0], order="hw_outer"), BASE)


def test_what_rows_are_reduced_to_has_one_slot():
    """So has what is added to rows that are loaded, but not to those that are made ahead."""
    rows = Rows(1, 1, 128, 48, "norm", 4, 2, 1, other=(False,) * 3, wide=False, beside=True)
    product = Convolution(1, 1, 128, 4, 48, wide=True)
    for work, added in ((rows, 1), (WithRows(product, rows), 2)):
        homes = place(work, Knobs(1, 3, 1, 1), BASE)
        assert [homes[name].slots for name in ("acc", "row", "other")] == [2, 1, added]
    assert default_knobs(rows, BASE, "norm").tile_w == 7
