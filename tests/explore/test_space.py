"""Axes, labels, and the accelerators that points stand for."""

from __future__ import annotations

import pytest

import tvm_vsq
from tvm_vsq.errors import ConfigError
from tvm_vsq.explore.space import grids_of, point_of, points_of
from tvm_vsq.hardware import load_hardware

TARGET = load_hardware("vsq-accel")


def settings_of(space):
    return [settings for _, settings in points_of(grids_of(space))]


def only_point(space, target=TARGET, quant=None):
    ((grid, settings),) = points_of(grids_of(space))
    return point_of(grid, settings, target, quant)


def test_a_grid_has_every_combination_the_last_axis_fastest():
    assert settings_of({"quant": ["4/4/4/4", "8/8/-/-"], "vector_size": [16, 32]}) == [
        {"quant": "4/4/4/4", "vector_size": 16},
        {"quant": "4/4/4/4", "vector_size": 32},
        {"quant": "8/8/-/-", "vector_size": 16},
        {"quant": "8/8/-/-", "vector_size": 32},
    ]


def test_of_several_grids_what_they_share_is_one_point():
    space = [{"vector_size": [16, 32]}, {"vector_size": [32, 64]}, {"output_lanes": [16]}]
    assert settings_of(space) == [
        {"vector_size": 16},
        {"vector_size": 32},
        {"vector_size": 64},
        {"output_lanes": 16},
    ]


def test_points_are_built_for_their_formats():
    point = only_point({"quant": ["3/8/4/6"], "vector_size": [32], "scale_product_bits": [5]})
    assert point.hardware == TARGET.with_formats("3/8/4/6", vector_size=32, scale_product_bits=5)
    assert (point.config.notation, point.config.vector_size) == ("3/8/4/6", 32)


def test_a_point_in_the_targets_own_formats_is_the_target():
    assert only_point({"quant": ["4/4/4/4"]}).hardware == TARGET
    assert only_point({"dram.bytes_per_cycle": [16]}).hardware == TARGET


def test_fields_of_the_description_are_axes():
    point = only_point({"dram.bytes_per_cycle": [8], "scratchpads.wgt_kib": [64], "clock_mhz": [700]})
    changes = {"dram.bytes_per_cycle": 8, "scratchpads.wgt_kib": 64, "clock_mhz": 700}
    assert point.hardware == TARGET.with_(**changes)


def test_the_ppu_waits_for_the_blocks_that_a_vector_has_with_fewer_lanes():
    point = only_point({"output_lanes": [8], "vector_size": [32]})
    assert point.hardware.timing.ppu_pipeline_cycles == TARGET.timing.ppu_pipeline_cycles + 3


@pytest.mark.parametrize(("field", "value"), [("accumulator_bits", 40), ("timing.ppu_pipeline_cycles", 30)])
def test_what_is_asked_for_is_not_adapted_to_formats_and_lanes(field, value):
    point = only_point({field: [value], "quant": ["8/8/8/8"], "output_lanes": [8]})
    found = point.hardware
    for part in field.split("."):
        found = getattr(found, part)
    assert found == value


def test_a_mix_is_taken_in_passes():
    mix = tvm_vsq.QuantConfig.parse("4/4/4/4", rules=(tvm_vsq.Rule(layers=":first", formats="8/8/-/-"),))
    passes = TARGET.with_(precision_passes=2)
    point = only_point({"quant": [mix], "vector_size": [16]}, passes)
    assert point.hardware == passes
    assert point.config == mix


def test_settings_besides_the_formats_come_from_quant():
    quant = tvm_vsq.QuantConfig.parse("8/8/-/-", weight_rounding="nearest", weight_calibration="mse")
    point = only_point({"quant": ["4/4/4/4"]}, quant=quant)
    assert (point.config.notation, point.config.weight_rounding) == ("4/4/4/4", "nearest")
    assert only_point({"output_lanes": [16]}, quant=quant).config.notation == "8/8/-/-"


def test_targets_are_an_axis_by_name_path_or_description(tmp_path):
    own = TARGET.with_(output_lanes=32)
    grids = grids_of({"target": ["vsq-accel-int8", own]})
    labels = [settings["target"] for _, settings in points_of(grids)]
    assert labels == ["vsq-accel-int8", own.label]
    found = [point_of(grid, settings, TARGET, None).hardware for grid, settings in points_of(grids)]
    assert found == [load_hardware("vsq-accel-int8"), own]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("quant", "space must be a mapping"),
        ([], "space must be a mapping"),
        ({}, "must be a mapping with an axis"),
        ({"quant": "4/4/4/4"}, "give a list of values, such as"),
        ({"quant": []}, "quant: the list is empty"),
        ({"vector_size": [16, 16]}, "vector_size: 16 stands for several values"),
        ({"output_lane": [16]}, "there is no axis 'output_lane'; did you mean output_lanes"),
        ({"dram": [16]}, "there is no axis 'dram'; did you mean dram.capacity_mib"),
        ({"clock_mhz": [float("nan")]}, "nan is no label"),
        ([{"quant": {"a": "4/4/4/4"}}, {"quant": {"a": "8/8/-/-"}}], "quant: 'a' stands for several values"),
        ({"weight_bits": [4]}, "weight_bits is no axis: the axis 'quant' decides it"),
        ({"name": ["a"]}, "name is no axis: the axis 'target' decides it"),
        ({1: [2]}, "an axis has a name"),
        ({"output_lanes": [[16]]}, "is no label"),
        ({"vector_size": range(1, 2_000), "clock_mhz": range(1, 2_000)}, "3,996,001 points"),
    ],
)
def test_what_is_no_space_is_refused(space, message):
    with pytest.raises(ConfigError, match=message):
        grids_of(space)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"output_lanes": [17]}, "output_lanes"),
        ({"quant": ["4/4"]}, "4/4"),
        ({"quant": [4]}, "neither W/A/ws/as nor a QuantConfig"),
        ({"target": ["nothing"]}, "unknown target 'nothing'"),
        ({"quant": ["4/4/4/4"], "scale_product_bits": [20]}, "scale_product_bits=20 exceeds"),
    ],
)
def test_a_point_that_cannot_be_says_why(space, message):
    with pytest.raises(ConfigError, match=message):
        only_point(space)
