"""Weights and biases fitted to calibration data: bias correction, the settings, and whole networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.quantizing import quantize
from torch import nn
from tvm.ir import assert_structural_equal

import tvm_vsq
from tvm_vsq.errors import CalibrationError, ConfigError, VsqWarning
from tvm_vsq.formats import VectorFormat
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, constant_array, is_constant, op_name
from tvm_vsq.hardware import load_hardware
from tvm_vsq.numerics import dequantize, quantize_weights
from tvm_vsq.quantize.config import Rule
from tvm_vsq.quantize.weights.layer_weights import bias_correction
from tvm_vsq.quantize.weights.moments import Moments
from tvm_vsq.torch_graph import TorchGraph

HARDWARE = load_hardware("vsq-accel")
PLAIN = {"weight_calibration": "max", "weight_rounding": "nearest"}
FITTED = {"weight_calibration": "output", "weight_rounding": "gptq", "bias_correction": True}


@pytest.mark.parametrize("groups", [1, 3])
def test_bias_correction_restores_the_mean_of_each_output_channel(groups):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((groups, 200, 8)) + 1
    y = np.round(2 * x) / 2  # any other input will do
    w = rng.laplace(size=(6, 2, 1, 4)).astype(np.float32)
    vectors, gamma = quantize_weights(w, VectorFormat(3, 4, 8))
    restored = dequantize(vectors, gamma, 4)
    correction = bias_correction(w, vectors, gamma, Moments([], x.mean(axis=1), y.mean(axis=1)))
    for channel in range(6):
        group = channel * groups // 6
        wanted = x[group] @ w[channel].reshape(-1)
        found = y[group] @ restored[channel].reshape(-1) + correction[channel]
        assert abs(wanted.mean()) > 0.01
        assert found.mean() == pytest.approx(wanted.mean(), abs=1e-5)


class OneLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(12, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


class OneDepthwiseLayer(OneLayer):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(12, 12, 3, padding=1, groups=12)


@pytest.mark.parametrize("network", [OneLayer, OneDepthwiseLayer])
def test_each_setting_does_to_a_layer_what_it_is_for(networks, network):
    networks.INPUTS[network] = (1, 12, 6, 6)
    model, x = networks.build(network)
    samples = networks.samples(network, 24)
    samples = 0.7 * samples[:, :1] + 0.3 * samples + np.float32(0.5)  # correlated, and not around 0
    samples[:, :, 1:] += samples[:, :, :-1]
    module = import_model(model, (x,))
    expected = np.concatenate([networks.run_torch(model, torch.from_numpy(s[None]))[0] for s in samples])
    errors, offsets = {}, {}
    for field, value in {"vector_size": 16, **FITTED}.items():
        rule = Rule(layers="conv", settings={field: value})
        config = tvm_vsq.QuantConfig.parse("3/8/4/4").unfitted().model_copy(update={"rules": (rule,)})
        graph = TorchGraph(quantize(module, config, HARDWARE, samples)["main"])
        found = np.concatenate([graph(torch.from_numpy(s[None])).numpy() for s in samples])
        errors[field] = float(np.square(found - expected).mean())
        offsets[field] = float(np.abs((found - expected).mean(axis=(0, 2, 3))).max())
    plain = errors["vector_size"]
    assert errors["weight_calibration"] < plain
    assert errors["weight_rounding"] < 0.9 * plain
    assert errors["bias_correction"] < plain
    assert offsets["bias_correction"] < 1e-5 < 1e-3 < offsets["vector_size"]


def test_a_network_with_fitted_weights_runs_bit_exactly(networks):
    model, x = networks.build(networks.ResNet)
    exe = tvm_vsq.compile(
        model,
        HARDWARE,
        quant=tvm_vsq.QuantConfig.parse(HARDWARE.notation, **FITTED),
        calibration=networks.samples(networks.ResNet),
        example_inputs=(x,),
    )
    assert np.array_equal(exe(x).numpy(), exe.reference(x).numpy())


@pytest.mark.parametrize(
    "fields", [{"weight_calibration": "output"}, {"weight_rounding": "gptq"}], ids=["output", "gptq"]
)
def test_the_papers_order_has_none_of_these(fields):
    with pytest.raises(ConfigError, match="weight_order='paper' does not"):
        tvm_vsq.QuantConfig.parse("4/4/4/4", weight_order="paper", **(PLAIN | fields))


def test_settings_survive_json():
    config = tvm_vsq.QuantConfig.parse("4/4/4/4", **FITTED)
    assert tvm_vsq.QuantConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("has_bias", [True, False])
def test_a_correction_becomes_part_of_the_bias_or_one_of_its_own(networks, has_bias):
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(16, 8, bias=has_bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x)

    networks.INPUTS[Dense] = (4, 16)
    model, x = networks.build(Dense)
    config = tvm_vsq.QuantConfig.parse("3/3/4/4", bias_correction=True)
    module = quantize(import_model(model, (x,)), config, HARDWARE, networks.samples(Dense, 32))
    adds = [b.value for b in bindings(module["main"]) if op_name(b.value) == "relax.add"]
    (bias,) = (constant_array(arg) for arg in adds[0].args if is_constant(arg))
    before = model.fc.bias.detach().numpy() if has_bias else np.zeros(8)
    assert len(adds) == 1
    assert 0 < np.abs(bias - before).max() < 0.2


def test_a_layer_with_too_few_rows_is_not_fitted_and_refused_if_strict(networks):
    model, x = networks.build(networks.Mlp)
    module = import_model(model, (x,))
    few = networks.samples(networks.Mlp)[:1]
    plain = tvm_vsq.QuantConfig.parse("4/4/4/4", weight_calibration="mse", weight_rounding="nearest")
    plain = plain.model_copy(update={"bias_correction": False})
    with pytest.warns(VsqWarning, match=r"layer 'up' has \d+ rows .* takes 16; .*='mse'"):
        fitted = quantize(module, tvm_vsq.QuantConfig.parse("4/4/4/4"), HARDWARE, few)
    assert_structural_equal(fitted, quantize(module, plain, HARDWARE, few))
    whole = import_model(nn.Linear(16, 4), (torch.zeros(3, 16),))
    strict = tvm_vsq.QuantConfig.parse("4/4/4/4", strict=True)
    with pytest.raises(CalibrationError, match=r"layer 'weight' has 3 rows .* QuantConfig.unfitted"):
        quantize(whole, strict, HARDWARE, np.random.default_rng(0).standard_normal((3, 16), np.float32))


@pytest.mark.parametrize("images", ["all the same", "all nearly the same"])
def test_inputs_that_hardly_vary_are_fitted_to(images):
    """Their second moment about the mean is less than what rounding leaves, of either sign."""
    torch.manual_seed(0)
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), *pool).eval()
    image, others = torch.randn(1, 3, 12, 12), torch.randn(16, 3, 12, 12)
    data = image.repeat(16, 1, 1, 1) if images == "all the same" else 1e-6 * others + 5
    exe = tvm_vsq.compile(model, "vsq-accel-int8", example_inputs=image, calibration=data)
    found, expected = exe(data[:1].numpy()), model(data[:1]).detach().numpy()
    assert np.square(found - expected).sum() < 1e-3 * np.square(expected).sum()
