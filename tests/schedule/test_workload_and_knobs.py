"""Workloads and knobs: shapes, keys, legality and what is said when something does not fit."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import load_hardware
from tvm_vsq.schedule import (
    Convolution,
    Knobs,
    explain_misfit,
    fits,
    require_fit,
)

HARDWARE = load_hardware("vsq-accel")
LAYER = Convolution(1, 56, 56, 4, 4, 3, 3, padding=(1, 1, 1, 1))


@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    pad=st.integers(0, 4),
)
def test_output_sizes_count_the_windows_that_fit(size, kernel, stride, dilation, pad):
    def windows(extent, taps):
        return len(range(0, extent + 2 * pad - dilation * (taps - 1), stride))

    expected = [windows(extent, taps) for extent, taps in zip(size, kernel, strict=True)]
    geometry = {"strides": (stride,) * 2, "padding": (pad,) * 4, "dilation": (dilation,) * 2}
    if min(expected) < 1:
        with pytest.raises(ScheduleError, match="does not fit into"):
            Convolution(1, *size, 1, 1, *kernel, **geometry)
    else:
        work = Convolution(1, *size, 1, 1, *kernel, **geometry)
        assert [work.oh, work.ow] == expected


def test_a_pointwise_stride_loads_only_the_pixels_it_uses():
    work = Convolution(1, 56, 56, 4, 8, strides=(2, 2))
    rows, columns = work.nest(HARDWARE).operand["inp"].axes[1:3]
    assert (rows.span({"h": 7, "r": 1}), columns.span({"w": 28, "s": 1})) == (7, 28)
    assert (rows.step, columns.step) == (2, 2)


def test_keys_tell_workloads_apart():
    fields = {"n": 2, "h": 9, "w": 8, "cv": 3, "kb": 4, "r": 2, "s": 3}
    base = Convolution(**fields)
    others = [Convolution(**(fields | {name: value + 1})) for name, value in fields.items()]
    others += [Convolution(**fields, **{flag: True}) for flag in ("has_residual", "wide")]
    others += [Convolution(**fields, padding=(1, 0, 0, 0)), Convolution(**fields, padding=(0, 1, 0, 0))]
    others += [Convolution(**fields, strides=(1, 2)), Convolution(**fields, dilation=(2, 1))]
    assert len({work.key for work in (base, *others)}) == len(others) + 1


@pytest.mark.parametrize(
    "knobs",
    [
        Knobs(7, 14, 2, 4, "hw_outer", False),
        Knobs(7, 14, 2, 4, tile_n=2, tile_r=1, tile_s=3),
        Knobs(7, 14, 2, 4, tile_r=1),
    ],
)
def test_knobs_survive_a_round_trip(knobs):
    assert Knobs.from_dict(knobs.to_dict()) == knobs


def test_only_tiles_of_images_and_kernels_may_be_missing_from_a_record():
    data = {"tile_h": 1, "tile_w": 2, "tile_k": 3, "tile_c": 4, "order": "k_outer", "double_buffer": True}
    assert Knobs.from_dict(data) == Knobs(1, 2, 3, 4)
    assert Knobs(1, 2, 3, 4).to_dict() == data
    for name in data:
        with pytest.raises(ScheduleError, match="expected the keys"):
            Knobs.from_dict({key: value for key, value in data.items() if key != name})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tile_h": 7.0}, "'tile_h' must be int"),
        ({"double_buffer": 1}, "'double_buffer' must be bool"),
        ({"tile_r": None}, "'tile_r' must be int"),
    ],
)
def test_knobs_of_the_wrong_type_are_refused(change, message):
    with pytest.raises(ScheduleError, match=message):
        Knobs.from_dict(Knobs(1, 1, 1, 1).to_dict() | change)


def test_knobs_with_other_keys_are_refused():
    with pytest.raises(ScheduleError, match="expected the keys tile_h"):
        Knobs.from_dict({"tile_h": 1})


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        (Knobs(7, 1, 4, 1), r"tile_h=7 is not in 1\.\.6"),
        (Knobs(1, -1, 4, 1), r"tile_w=-1 is not in 1\.\.6"),
        (Knobs(1, 1, 4, 0), r"tile_c=0 is not in 1\.\.2"),
        (Knobs(1, 1, 4, 1, tile_n=3), r"tile_n=3 is not in 1\.\.1"),
        (Knobs(1, 1, 4, 1, tile_s=2), r"tile_s=2 is not in 1\.\.1"),
        (Knobs(1, 1, 3, 1), "tile_k=3 is not a multiple of the 4 blocks of a channel group"),
        (Knobs(1, 1, 2, 1), "tile_k=2 is not a multiple of the 4 blocks of a channel group"),
        (Knobs(1, 1, 4, 1, "outer"), "unknown loop order 'outer'; known are k_outer, hw_outer"),
    ],
)
def test_illegal_knobs_name_the_layer_and_the_knob(knobs, message):
    narrow = HARDWARE.model_copy(update={"output_lanes": 4})
    with pytest.raises(ScheduleError, match=f"layer 'conv7': {message}"):
        require_fit(Convolution(1, 6, 6, 2, 8), knobs, narrow, "conv7")


def test_a_misfit_names_layer_buffer_excess_and_remedy():
    with pytest.raises(ScheduleError) as error:
        require_fit(LAYER, Knobs(56, 56, 4, 4), HARDWARE, "conv2")
    text = str(error.value)
    entries, depth = 56 * 56 * 4, HARDWARE.depths["acc"]
    assert "layer 'conv2'" in text
    assert (
        f"accumulator scratchpad needs {entries} entries and has {depth}, {entries - depth} too few" in text
    )
    assert "lower tile_h, tile_w or tile_k" in text
    assert "scratchpads.acc_kib to 784" in text


def test_the_sizes_that_a_misfit_recommends_are_enough():
    knobs = Knobs(28, 56, 4, 4)
    text = explain_misfit(LAYER, knobs, HARDWARE, "conv2")
    advice = {pad: int(kib) for pad, kib in re.findall(r"raise scratchpads\.(\w+) to (\d+)", text)}
    assert set(advice) == {"inp_kib", "acc_kib", "out_kib"}
    pads = HARDWARE.scratchpads.model_copy(update=advice)
    assert fits(LAYER, knobs, HARDWARE.model_copy(update={"scratchpads": pads}))


def test_more_blocks_than_a_ppu_instruction_counts_are_refused():
    pads = HARDWARE.scratchpads.model_copy(update={"par_kib": 128})
    roomy = HARDWARE.model_copy(update={"scratchpads": pads})
    with pytest.raises(
        ScheduleError, match="tile_k=300 does not fit the PPU field 'blocks', which ends at 255"
    ):
        require_fit(Convolution(1, 1, 1, 1, 300), Knobs(1, 1, 300, 1), roomy, "fc")
