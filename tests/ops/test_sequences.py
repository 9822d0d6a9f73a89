"""Networks on sequences (sound, time series) run on the chip as networks on images of one row."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from tests.seeds import one_of
from torch import nn
from torch.nn import functional as F

import tvm_vsq
from tvm_vsq.network import layer_names

QUANT = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()
TARGETS = {"vsq-accel": "4/4/4/4", "vsq-accel-w4a8": "4/8/6/10", "vsq-accel-int8": "8/8/-/-"}
VIEWS = {"relax.reshape", "relax.astype", "relax.multiply"}
"""What is left behind the last layer: int32 become fp32, and views, which move no bytes."""


class Block(nn.Module):
    """A depthwise and a dilated convolution, with batch norm, a clip, and a residual."""

    def __init__(self, channels, dilation):
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, 5, padding=2, groups=channels, bias=False)
        self.norm = nn.BatchNorm1d(channels)
        self.dilated = nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation)

    def forward(self, x):
        return torch.relu(x + self.dilated(F.relu6(self.norm(self.depthwise(x)))))


class Sequences(nn.Module):
    """Strides, every pool, zeros at one end as causal networks have them, and a mean over time."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv1d(2, 20, 9, 4, bias=False), nn.BatchNorm1d(20)
        self.first, self.second = Block(20, 2), Block(20, 3)
        self.down, self.hidden, self.out = nn.Conv1d(20, 24, 3, 2), nn.Linear(24, 18), nn.Linear(24, 5)

    def forward(self, x):
        y = F.max_pool1d(torch.relu(self.norm(self.stem(x))), 3, 2, 1)
        y = self.first(y) + F.avg_pool1d(self.first(y), 3, 1, 1, count_include_pad=False)
        y = self.second(F.avg_pool1d(y, 2, ceil_mode=True))
        y = torch.relu(self.down(F.pad(y, (2, 0))))
        return self.hidden(F.adaptive_avg_pool1d(y, 1).flatten(1)), self.out(y.mean(-1))


def build(network):
    torch.manual_seed(0)
    model = network().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model


def between(exe):
    """Operators from the first layer on the accelerator up to the last one, and those behind."""
    rows = exe.explain()
    chip = [number for number, row in enumerate(rows) if row.where == "accelerator"]
    return rows[chip[0] : chip[-1] + 1], [row.op for row in rows[chip[-1] + 1 :]]


def close(found, expected, share=0.1):
    return np.square(found - expected).sum() < share * np.square(expected).sum()


@pytest.fixture(scope="module")
def sequences():
    return build(Sequences), torch.randn(8, 2, 190)


@pytest.mark.parametrize("target", one_of(TARGETS))
@pytest.mark.large
def test_nothing_is_on_the_cpu_between_the_input_and_the_last_layer(sequences, target):
    model, x = sequences
    options = {"example_inputs": x[:2], "calibration": x}
    config = tvm_vsq.QuantConfig.parse(TARGETS[target]).unfitted()
    exe = tvm_vsq.compile(model, target, quant=config, **options)
    inside, behind = between(exe)
    assert {row.where for row in inside} == {"accelerator"}
    assert set(behind) == VIEWS
    names = {row.layer for row in inside}
    assert {"stem", "first.depthwise", "second.dilated", "down", "hidden", "out"} <= names
    assert sum("pool" in row.op for row in inside) >= 5
    assert sum(row.op == "vsq.depthwise_conv2d" for row in inside) == 3
    network = tvm_vsq.fake_quantize(model, quant=config, target=target, **options).eval()
    same = network(x[:2])
    for found, reference, bits, want in zip(
        exe(x[:2]), exe.reference(x[:2]), same, model(x[:2]), strict=True
    ):
        np.testing.assert_array_equal(found, reference)
        np.testing.assert_array_equal(found, bits.detach().numpy())
        assert found.shape == tuple(want.shape)
        assert close(found.numpy(), want.detach().numpy())


def test_layers_are_named_after_their_modules(sequences):
    model, x = sequences
    module = tvm_vsq.frontend.import_model(model, x[:1])
    names = [name for name in layer_names(module).values() if "pool" not in name and "add" not in name]
    first = ["first.depthwise", "first.dilated", "first.depthwise#2", "first.dilated#2"]
    assert names == ["stem", *first, "second.depthwise", "second.dilated", "down", "hidden", "out"]


@pytest.mark.large
def test_the_quantized_network_as_onnx(networks, sequences):
    model, x = sequences
    module = tvm_vsq.quantize_model(model, quant=QUANT, example_inputs=x[:1], calibration=x)
    exported = tvm_vsq.export_onnx(module)
    session = onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: x[:1].numpy()})
    for value, expected in zip(found, networks.run_tvm(module, x[:1]), strict=True):
        assert np.abs(value - expected).max() <= 1e-5 * np.abs(expected).max()


class M5(nn.Module):
    """Dai et al., "Very Deep Convolutional Neural Networks for Raw Waveforms" (2017), narrow."""

    def __init__(self, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(1, 32, 80, stride), nn.BatchNorm1d(32)
        self.conv2, self.bn2 = nn.Conv1d(32, 32, 3), nn.BatchNorm1d(32)
        self.conv3, self.bn3 = nn.Conv1d(32, 64, 3), nn.BatchNorm1d(64)
        self.conv4, self.bn4 = nn.Conv1d(64, 64, 3), nn.BatchNorm1d(64)
        self.fc1 = nn.Linear(64, 35)

    def forward(self, x):
        for number in range(1, 5):
            x = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x))
            x = F.max_pool1d(torch.relu(x), 4)
        x = F.avg_pool1d(x, x.shape[-1]).permute(0, 2, 1)
        return self.fc1(x)


@pytest.mark.large
@pytest.mark.parametrize("stride", [4, 16])
def test_a_network_on_raw_sound_is_whole_on_the_chip(stride):
    model, x = build(lambda: M5(stride)), torch.randn(3, 1, 1500 * stride)
    exe = tvm_vsq.compile(model, quant=QUANT, example_inputs=x[:1], calibration=x)
    inside, behind = between(exe)
    pools = [f"max_pool2d_{number}" for number in range(4)]
    convolutions = [f"conv{number}" for number in range(1, 5)]
    layers = [name for pair in zip(convolutions, pools, strict=True) for name in pair]
    assert [row.layer for row in inside] == [*layers, "avg_pool2d_0", "fc1"]
    assert set(behind) == VIEWS
    np.testing.assert_array_equal(exe(x[:1]), exe.reference(x[:1]))
    assert close(exe(x[:1]).numpy(), model(x[:1]).detach().numpy())


class Tokens(nn.Module):
    """A convolution between linear layers, each with the channels where it wants them."""

    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv1d(6, 20, 3, padding=1), nn.Linear(20, 7)

    def forward(self, x):  # [N, W, C]
        return self.linear(torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2))


def test_tokens_with_their_channels_last_are_not_moved():
    model, x = build(Tokens), torch.randn(4, 12, 6)
    config = QUANT.model_copy(update={"thin_inputs": "model"})
    exe = tvm_vsq.compile(model, quant=config, example_inputs=x[:1], calibration=x)
    rows = [(row.where, row.op) for row in exe.explain()]
    assert rows[:2] == [("cpu", "relax.reshape"), ("cpu", "vsq.quantize")]
    assert [op for where, op in rows if where == "accelerator"] == ["vsq.conv2d", "vsq.dense"]
    assert not any(op == "relax.permute_dims" for _, op in rows)
    np.testing.assert_array_equal(exe(x[:1]), exe.reference(x[:1]))


class Causal(nn.Module):
    """Convolutions that see what came before: with padding at both ends, and the last results cut off."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv1d(16, 20, 3, padding=4, dilation=2), nn.Conv1d(20, 16, 2, padding=1)

    def forward(self, x):
        return torch.relu(x + self.b(torch.relu(self.a(x)[..., :-4]))[..., :-1])


def test_results_that_causal_networks_cut_off_are_not_computed():
    model, x = build(Causal), torch.randn(4, 16, 30)
    exe = tvm_vsq.compile(model, quant=QUANT, example_inputs=x[:1], calibration=x)
    inside, behind = between(exe)
    assert [(row.where, row.layer) for row in inside] == [("accelerator", "a"), ("accelerator", "b")]
    assert "relax.strided_slice" not in behind
    np.testing.assert_array_equal(exe(x[:1]), exe.reference(x[:1]))
    assert close(exe(x[:1]).numpy(), model(x[:1]).detach().numpy())


def test_what_has_no_form_stays_on_the_cpu_and_says_why():
    model = nn.Sequential(
        nn.Conv1d(3, 20, 3),
        nn.Conv1d(20, 20, 33, groups=20),
        nn.Conv1d(20, 20, 3, groups=4),
        nn.Conv1d(20, 20, 1),
        nn.AdaptiveAvgPool1d(3),
        nn.Conv1d(20, 4, 1),
    )
    x = torch.randn(4, 3, 80)
    exe = tvm_vsq.compile(model.eval(), quant=QUANT, example_inputs=x[:1], calibration=x)
    why = {row.layer or row.op: row.why for row in exe.explain() if row.where == "cpu"}
    assert why["1"] == "its kernel has 33 taps, the window of 'vsq-accel' holds window_taps=32"
    assert not any(layer.startswith("2") for layer in why)
    np.testing.assert_array_equal(exe(x[:1]), exe.reference(x[:1]))


def onnx_network(onnx_models, rng):
    def weights(*shape):
        return rng.standard_normal(shape, np.float32) / np.sqrt(np.prod(shape[1:]), dtype=np.float32)

    constants = {
        "stem.weight": weights(20, 2, 9),
        "stem.bias": weights(20),
        "depthwise.weight": weights(20, 1, 5),
        "dilated.weight": weights(20, 20, 3),
        "last.weight": weights(24, 20, 2),
        "fc.weight": weights(24, 5),
        "scale": rng.uniform(0.5, 1.5, 20).astype(np.float32),
        "shift": weights(20),
        "mean": weights(20),
        "variance": rng.uniform(0.5, 1.5, 20).astype(np.float32),
    }
    node = onnx_models.node
    nodes = [
        node("Conv", ["x", "stem.weight", "stem.bias"], "stem", strides=[4], auto_pad="SAME_UPPER"),
        node("MaxPool", ["stem"], "largest", kernel_shape=[3], strides=[2], pads=[1, 1], ceil_mode=1),
        node("Conv", ["largest", "depthwise.weight"], "depthwise", pads=[2, 2], group=20),
        node("BatchNormalization", ["depthwise", "scale", "shift", "mean", "variance"], "norm"),
        node("Relu", ["norm"], "relu"),
        node("Conv", ["relu", "dilated.weight"], "dilated", pads=[2, 2], dilations=[2]),
        node("Add", ["dilated", "largest"], "sum"),
        node("AveragePool", ["sum"], "average", kernel_shape=[3], strides=[2], pads=[1, 1]),
        node("Conv", ["average", "last.weight"], "last", strides=[2], pads=[0, 1]),
        node("Relu", ["last"], "positive"),
        node("GlobalAveragePool", ["positive"], "mean of all"),
        node("Flatten", ["mean of all"], "flat"),
        node("MatMul", ["flat", "fc.weight"], "y"),
    ]
    return onnx_models.model(nodes, constants, [1, 2, 203])


@pytest.mark.large
@pytest.mark.parametrize("target", TARGETS)
def test_an_onnx_network_is_whole_on_the_chip(onnx_models, target):
    rng = np.random.default_rng(0)
    model, x = onnx_network(onnx_models, rng), rng.standard_normal((8, 2, 203), np.float32)
    config = tvm_vsq.QuantConfig.parse(TARGETS[target]).unfitted()
    exe = tvm_vsq.compile(model, target, calibration=x, quant=config)
    inside, behind = between(exe)
    names = ["stem", "max_pool2d_0", "depthwise", "dilated", "avg_pool2d_0", "last", "avg_pool2d_1", "fc"]
    assert [row.layer for row in inside] == names
    assert set(behind) == VIEWS
    np.testing.assert_array_equal(exe(x[:1]), exe.reference(x[:1]))
    network = tvm_vsq.fake_quantize(model, quant=config, target=target, calibration=x).eval()
    np.testing.assert_array_equal(network(torch.from_numpy(x[:1])).detach().numpy(), exe(x[:1]))
    (expected,) = onnx_models.run(model, x[:1])
    assert close(exe(x[:1]), expected)
