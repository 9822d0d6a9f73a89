"""Static vector scales, ranges by layer, and calibration data that say too little."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.quantizing import quantize
from tests.seeds import one_of

from tvm_vsq.errors import CalibrationError, ConfigError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, op_name, static_shape
from tvm_vsq.hardware import load_hardware
from tvm_vsq.quantize import QuantConfig, Rule
from tvm_vsq.quantize.activations.encodings import Encoding
from tvm_vsq.transform import check_target, fuse

HARDWARE = load_hardware("vsq-accel")


def quantized(networks, network, **settings):
    model, x = networks.build(network)
    module = import_model(model, (x,))
    config = QuantConfig.parse("4/4/4/4", **settings)
    return module, quantize(module, config, HARDWARE, networks.samples(network)), x


def test_static_scales_hold_the_largest_magnitude_of_their_channels(networks):
    model, x = networks.build(networks.Mlp)
    module = import_model(model, (x,))
    data = networks.samples(networks.Mlp)
    config = QuantConfig.parse("4/4/4/4", activation_scales="static")
    result = quantize(module, config, HARDWARE, data)
    first = next(b.value for b in bindings(result["main"]) if op_name(b.value) == "vsq.quantize")
    gamma = np.float32(2**HARDWARE.guard_bits) / np.float32(first.attrs["inv"])
    channels = static_shape(first.args[0])[-1]
    rows = np.concatenate([np.asarray(item) for item in data]) if isinstance(data, list) else np.asarray(data)
    peaks = np.abs(rows.reshape(-1, channels)).max(axis=0)
    padded = np.pad(peaks, (0, -channels % 16)).reshape(-1, 16).max(axis=1)
    expected = np.clip(np.ceil(padded / (7 * float(gamma)) - 1e-6), 1, 15)
    assert [int(scale) for scale in first.attrs["scales"]] == expected.tolist()


def test_static_scales_clip_no_value_of_the_calibration_data():
    """Peaks of 3.2, 3, 0.2 and 99 times what scale 1 holds get the next whole scale that there is."""
    fmt, gamma = VectorFormat(4, 4, 16), 0.01
    encoding = Encoding(fmt, 1.0, np.array([3.2, 2.9999, 0.2, 99.0]) * fmt.qmax * gamma)
    assert encoding.static_scales(gamma) == [4, 3, 1, fmt.smax]
    assert Encoding(fmt, 1.0).static_scales(gamma) == []


@pytest.mark.parametrize("name", one_of(["Mlp", "ResNet"]))
def test_static_scales_run_on_the_reference_and_on_no_accelerator(networks, name):
    module, result, x = quantized(networks, getattr(networks, name), activation_scales="static")
    fused = fuse(result, HARDWARE)
    fp32, fake, integers = (networks.run_tvm(m, x)[0] for m in (module, result, fused))
    assert networks.sqnr_db(fp32, integers) > 10
    assert networks.sqnr_db(fake, integers) > 25
    with pytest.raises(ConfigError, match="has activation_scales='static', but target 'vsq-accel'"):
        check_target(result, HARDWARE)


def test_a_rule_can_calibrate_one_layer_otherwise(networks):
    rule = Rule(
        layers="down", settings={"activation_calibration": "percentile", "activation_percentile": 60.0}
    )
    _, plain, _ = quantized(networks, networks.Mlp)
    _, ruled, _ = quantized(networks, networks.Mlp, rules=(rule,))
    inverse = [
        [float(b.value.attrs["inv"]) for b in bindings(m["main"]) if op_name(b.value) == "vsq.quantize"]
        for m in (plain, ruled)
    ]
    assert inverse[0][0] == inverse[1][0]
    assert inverse[1][1] > inverse[0][1]


@pytest.mark.parametrize("value", [0.0, 1.5])
def test_constant_calibration_data_are_refused(networks, value):
    model, x = networks.build(networks.Mlp)
    with pytest.raises(CalibrationError, match=f"constant .* {value:g}"):
        quantize(
            import_model(model, (x,)),
            QuantConfig.parse("4/4/4/4"),
            HARDWARE,
            torch.full_like(x, value).numpy(),
        )


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({"activation_calibration": "percentile", "activation_percentile": 99.999}, 100000),
        ({"activation_calibration": "entropy"}, 2048),
    ],
)
def test_too_little_data_for_a_method_is_refused(networks, settings, needed):
    with pytest.raises(CalibrationError, match=f"values on all calibration data, too few .* needs {needed}"):
        quantized(networks, networks.Mlp, **settings)


def test_fp32_scales_have_no_integer_form(networks):
    model, x = networks.build(networks.Mlp)
    config = QuantConfig.parse("4/4/fp/fp")
    assert config.notation == "4/4/fp/fp"
    with pytest.raises(ConfigError, match="fake_quantize evaluates"):
        quantize(import_model(model, (x,)), config, HARDWARE, networks.samples(networks.Mlp))
