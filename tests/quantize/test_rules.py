"""Settings of each layer: rules in order, by pattern or kind, and what they make of a network."""

from __future__ import annotations

import numpy as np
import pytest
from tests.quantizing import quantize

from tvm_vsq.errors import ConfigError, QuantizationError
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, definitions, is_constant, op_name
from tvm_vsq.hardware import load_hardware
from tvm_vsq.quantize import QuantConfig, Rule
from tvm_vsq.quantize.rules import Candidate, Kind, resolve
from tvm_vsq.transform import check_target, fuse

HARDWARE = load_hardware("vsq-accel")
LAYERS = [Candidate("stem"), Candidate("a.1"), Candidate("a.dw", Kind.DEPTHWISE), Candidate("head")]


def notations(*rules):
    found = resolve(QuantConfig.parse("4/4/4/4", rules=rules), LAYERS)
    return {name: config and config.notation for name, config in found.items()}


def test_without_rules_all_layers_but_those_with_groups_have_the_base_settings():
    assert notations() == dict.fromkeys(("stem", "a.1", "a.dw", "head"), "4/4/4/4")
    grouped = resolve(QuantConfig.parse("4/4/4/4"), [Candidate("a"), Candidate("b", Kind.GROUPED)])
    assert [found and found.notation for found in grouped.values()] == ["4/4/4/4", None]


def test_later_rules_win_and_add_to_earlier_ones():
    first = Rule(layers="a.*", formats="8/8/-/-")
    second = Rule(layers="*.1", settings={"weight_bits": 3})
    assert notations(first, second) == {
        "stem": "4/4/4/4",
        "a.1": "3/8/-/-",
        "a.dw": "8/8/-/-",
        "head": "4/4/4/4",
    }
    assert notations(second, first)["a.1"] == "8/8/-/-"


def test_kinds_of_layers():
    found = notations(
        Rule(layers=":first", fp32=True),
        Rule(layers=":last", formats="8/8/6/6"),
        Rule(layers=":depthwise", formats="8/8/-/-"),
    )
    assert found == {"stem": None, "a.1": "4/4/4/4", "a.dw": "8/8/-/-", "head": "8/8/6/6"}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("b.*", "rule for 'b.*' matches no layer; the model's are stem, a.1"),
        (":middle", "known kinds .* :first"),
    ],
)
def test_a_pattern_that_matches_nothing_is_an_error(pattern, message):
    with pytest.raises(ConfigError, match=message.replace("b.*'", r"b\.\*'")):
        notations(Rule(layers=pattern, fp32=True))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layers": "x"}, "give either fp32=True, or formats or settings"),
        ({"layers": "x", "fp32": True, "formats": "4/4/4/4"}, "give either fp32=True"),
    ],
)
def test_a_rule_has_one_purpose(fields, message):
    with pytest.raises(ConfigError, match=message):
        Rule(**fields)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Rule(layers="x", settings={"weight_bit": 3}), "rule for 'x': unknown key 'weight_bit'"),
        (Rule(layers="x", settings={"weight_bits": 9}), r"rule for 'x': weight_bits: .* \(got 9\)"),
        (Rule(layers="x", settings={"rules": "no"}), "rule for 'x': unknown key 'rules'"),
        (Rule(layers="x", formats="4/4/fp/fp"), "fp32 vector scales are of all layers or of none"),
    ],
)
def test_a_rule_for_what_does_not_exist_is_refused_when_the_config_is_made(rule, message):
    with pytest.raises(ConfigError, match=message):
        QuantConfig.parse("4/4/4/4", rules=(rule,))


def test_rules_survive_json():
    rules = (
        Rule(layers="*", formats="4/8/6/10", settings={"weight_calibration": "mse"}),
        Rule(layers="x", fp32=True),
    )
    config = QuantConfig.parse("4/4/4/4", rules=rules, strict=True)
    assert QuantConfig.from_json(config.to_json()) == config


def formats_of(fused):
    """(input bits, output bits or None if wide) of each layer of a fused module."""
    values = definitions(fused["main"])
    found = {}
    for binding in bindings(fused["main"]):
        call = binding.value
        if op_name(call) in ("vsq.conv2d", "vsq.dense"):
            source = values[call.args[0]]
            attrs = dict(source.attrs)
            read = int(attrs["bits"] if op_name(source) == "vsq.quantize" else attrs["out_bits"])
            found[str(call.attrs["layer"])] = (
                read,
                None if int(call.attrs["wide"]) else int(call.attrs["out_bits"]),
            )
    return found


def test_mixed_formats_meet_in_fp32(networks):
    model, x = networks.build(networks.Mlp)
    module = import_model(model, (x,))
    data = networks.samples(networks.Mlp)
    config = QuantConfig.parse("4/4/4/4", rules=(Rule(layers="down", formats="8/8/-/-"),))
    quantized = quantize(module, config, HARDWARE, data)
    fused = fuse(quantized, HARDWARE)
    found = formats_of(fused)
    assert [found[name][0] for name in ("up", "down", "head")] == [4, 8, 4]
    assert found["up"][1] is None  # its result is read in another form than its own
    reference, mixed, narrow = (
        networks.run_tvm(m, x)[0]
        for m in (
            module,
            fused,
            fuse(quantize(module, QuantConfig.parse("4/4/4/4"), HARDWARE, data), HARDWARE),
        )
    )
    assert networks.sqnr_db(reference, mixed) > networks.sqnr_db(reference, narrow)
    with pytest.raises(ConfigError, match="layer 'down' is quantized with weight_bits=8"):
        check_target(quantized, HARDWARE)


def test_a_layer_left_in_fp32_has_fp32_weights(networks):
    model, x = networks.build(networks.Mlp)
    config = QuantConfig.parse("4/4/4/4", rules=(Rule(layers=":last", fp32=True),))
    module = quantize(import_model(model, (x,)), config, HARDWARE, networks.samples(networks.Mlp))
    products = [b.value for b in bindings(module["main"]) if op_name(b.value) == "relax.matmul"]
    assert [is_constant(call.args[1]) for call in products] == [False, False, True]
    check_target(module, HARDWARE)


@pytest.mark.large
def test_a_depthwise_layer_is_computed_from_quantized_operands_if_a_rule_says_so(networks):
    model, x = networks.build(networks.DepthwiseNet)
    module = import_model(model, (x,))
    config = QuantConfig.parse("8/8/6/6", rules=(Rule(layers=":depthwise", formats="8/8/-/-"),))
    wide = HARDWARE.with_formats("8/8/6/6")
    quantized = quantize(module, config, wide, networks.samples(networks.DepthwiseNet))
    values = definitions(quantized["main"])
    depthwise = [
        b.value
        for b in bindings(quantized["main"])
        if op_name(b.value) == "relax.nn.conv2d" and int(b.value.attrs.groups) > 1
    ]
    assert [op_name(values[arg]) for call in depthwise for arg in call.args] == [
        "vsq.dequantize",
        "relax.reshape",
    ]
    results = [networks.run_tvm(m, x)[0] for m in (module, quantized, fuse(quantized, wide))]
    assert networks.sqnr_db(results[0], results[2]) > 25
    np.testing.assert_allclose(results[1], results[2], atol=np.abs(results[0]).max() / 50)


def test_strict_refuses_padding(networks):
    model, x = networks.build(networks.ResNet)
    config = QuantConfig.parse("4/4/4/4", strict=True)
    with pytest.raises(
        QuantizationError, match="layer 'conv1': 3 input channels are no multiple of vector_size=16"
    ):
        quantize(import_model(model, (x,)), config, HARDWARE, networks.samples(networks.ResNet))
