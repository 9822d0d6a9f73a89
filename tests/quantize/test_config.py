"""The W/A/ws/as notation and the agreement with a target."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware import load_hardware
from tvm_vsq.quantize import QuantConfig, Rule

ELEMENT_BITS = st.integers(2, 8)
SCALE_BITS = st.one_of(st.none(), st.integers(1, 10))


@given(ELEMENT_BITS, ELEMENT_BITS, SCALE_BITS, SCALE_BITS, st.sampled_from([8, 16, 32, 64]))
def test_parsing_a_notation_gives_back_its_config(weight, activation, weight_scale, activation_scale, size):
    config = QuantConfig(
        weight_bits=weight,
        activation_bits=activation,
        weight_scale_bits=weight_scale,
        activation_scale_bits=activation_scale,
        vector_size=size,
    )
    assert QuantConfig.parse(config.notation, vector_size=size) == config


@given(ELEMENT_BITS, SCALE_BITS, st.sampled_from(["max", "percentile", "entropy", "mse"]))
def test_json_gives_back_the_config(bits, scale_bits, method):
    config = QuantConfig(
        weight_bits=bits,
        activation_bits=8,
        weight_scale_bits=scale_bits,
        activation_scale_bits=None,
        vector_size=32,
        activation_calibration=method,
    )
    assert QuantConfig.from_json(config.to_json()) == config
    assert json.loads(config.to_json())["version"] == 1


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda fields: fields.update(version=2), "with version 1"),
        (lambda fields: fields.pop("version"), "with version 1"),
        (lambda fields: fields.update(bits=4), "unknown key 'bits'; remove it"),
        (lambda fields: fields.pop("weight_bits"), "key 'weight_bits' is missing"),
        (lambda fields: fields.update(vector_size=12), r"vector_size: .* \(got 12\)"),
    ],
)
def test_json_that_is_no_config_is_refused_with_its_field(edit, message):
    fields = json.loads(QuantConfig.parse("4/4/4/4").to_json())
    edit(fields)
    with pytest.raises(ConfigError, match=message):
        QuantConfig.from_json(json.dumps(fields))


@pytest.mark.parametrize("text", ["", "[]", "4", "{", None])
def test_what_is_not_a_json_object_is_refused(text):
    with pytest.raises(ConfigError, match="must be"):
        QuantConfig.from_json(text)


def test_a_dash_means_no_vector_scale():
    config = QuantConfig.parse(" 6/8/4/- ")
    assert (config.weight_scale_bits, config.activation_scale_bits) == (4, None)
    assert config.notation == "6/8/4/-"


@pytest.mark.parametrize("text", ["", "4/4", "4/4/4/4/4", "4,4,4,4", "w4a4", "4/4/x/4", "-/4/4/4", 4])
def test_a_string_that_is_not_the_notation_is_answered_with_one_that_is(text):
    with pytest.raises(ConfigError, match="for example '4/4/4/4'"):
        QuantConfig.parse(text)


@pytest.mark.parametrize(
    ("text", "field"), [("9/4/4/4", "weight_bits"), ("4/4/4/11", "activation_scale_bits")]
)
def test_a_width_out_of_range_names_the_field(text, field):
    with pytest.raises(ConfigError, match=f"{field}[:=]"):
        QuantConfig.parse(text)


def test_a_vector_size_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match=r"vector_size: .* \(got 12\)"):
        QuantConfig.parse("4/4/4/4", vector_size=12)


def test_a_config_cannot_be_changed():
    with pytest.raises(ConfigError, match="weight_bits cannot be changed"):
        QuantConfig.parse("4/4/4/4").weight_bits = 8


@pytest.mark.parametrize(
    ("text", "size", "field"),
    [
        ("8/4/4/4", 16, "weight_bits=8"),
        ("4/8/4/4", 16, "activation_bits=8"),
        ("4/4/-/4", 16, "weight_scale_bits=None"),
        ("4/4/4/6", 16, "activation_scale_bits=6"),
        ("4/4/4/4", 32, "vector_size=32"),
    ],
)
def test_a_target_that_is_built_differently_is_refused_with_the_remedy(text, size, field):
    with pytest.raises(ConfigError, match=rf"has {field}, but target 'vsq-accel'.*quant='4/4/4/4'"):
        QuantConfig.parse(text, vector_size=size).check_hardware(load_hardware("vsq-accel"))


@pytest.mark.parametrize("method", ["hardware", "check_hardware"])
def test_no_hardware_is_suggested_for_fp32_scales(method):
    with pytest.raises(
        ConfigError, match=r"quant '4/4/fp/fp': fp32 .* run on no accelerator; .*fake_quantize"
    ):
        getattr(QuantConfig.parse("4/4/fp/fp"), method)(load_hardware("vsq-accel"))


@pytest.mark.parametrize("name", ["vsq-accel", "vsq-accel-w4a8", "vsq-accel-int8"])
def test_the_config_of_a_target_fits_it(name):
    hardware = load_hardware(name)
    config = QuantConfig.of_hardware(hardware)
    config.check_hardware(hardware)
    assert config.notation == hardware.notation


@pytest.mark.parametrize(
    ("quant", "remedy"),
    [
        (QuantConfig.parse("8/8/-/-"), "(as 'vsq-accel-int8')"),
        (QuantConfig.parse("6/6/4/4"), "(HardwareConfig.with_formats makes one)"),
        (
            QuantConfig.parse("8/8/-/-", rules=[Rule(layers="a", formats="4/4/4/4")]),
            "(or one that takes formats layer by layer, with precision_passes of 2 or more)",
        ),
    ],
    ids=["shipped", "built", "a mix"],
)
def test_a_target_that_does_not_take_it_is_refused_with_one_that_does(quant, remedy):
    with pytest.raises(ConfigError, match=re.escape(remedy)):
        quant.check_hardware(load_hardware("vsq-accel"))
