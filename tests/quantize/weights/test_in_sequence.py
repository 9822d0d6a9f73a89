"""Layers fitted one after the other: to what the layers before them, quantized, give them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.quantizing import quantize
from torch import nn

from tvm_vsq import QuantConfig
from tvm_vsq.formats import VectorFormat
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import definitions, op_name
from tvm_vsq.hardware import load_hardware
from tvm_vsq.network import Window
from tvm_vsq.quantize.activations.encodings import Encoding
from tvm_vsq.quantize.weights import in_sequence
from tvm_vsq.quantize.weights.aims import aims
from tvm_vsq.quantize.weights.moments import MomentSums
from tvm_vsq.torch_graph import TorchGraph

HARDWARE = load_hardware("vsq-accel")
FINE = Encoding(VectorFormat(8, None, 8), limit=6.0)


class Branches(nn.Module):
    """What a layer may read: sums, products, concatenated and depthwise results, with corrected biases."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 1)
        self.c, self.d = nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.Conv2d(16, 16, 1)
        self.last = nn.Conv2d(48, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = torch.relu(self.a(x))
        b = torch.relu(self.b(a) + a)
        c = self.c(b)
        return self.last(torch.cat([c, a * torch.sigmoid(self.d(b)), b], 1))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    model = Branches().eval()
    samples = np.random.default_rng(0).standard_normal((6, 3, 8, 8), np.float32)
    return import_model(model, (torch.zeros(1, 3, 8, 8),)), samples


def seen_by_last(module, samples, monkeypatch, **settings):
    """x, y, and y as the last layer reads it, of each sample that it is fitted to; the quantized module."""
    seen = []
    add = MomentSums.add

    def kept(self, x, y):
        if self.name == "last":
            read = self._quantized(torch.from_numpy(y)) * self.encoding.limit
            seen.append((x.copy(), y.copy(), read.numpy()))
        add(self, x, y)

    monkeypatch.setattr(MomentSums, "add", kept)
    config = QuantConfig.parse("3/3/4/4", channel_order="model", **settings)
    return seen, quantize(module, config, HARDWARE, samples)


def read_by_last(module, samples):
    """What the last convolution of a module reads, of each sample."""
    function = module["main"]
    calls = definitions(function)
    anchor = [var for var, call in calls.items() if op_name(call) == "relax.nn.conv2d"][-1]
    graph = TorchGraph(function, [calls[anchor].args[0]])
    return [graph(torch.from_numpy(x[None]))[0].numpy() for x in samples]


def test_a_layer_is_fitted_to_what_it_will_read(network, monkeypatch):
    module, samples = network
    seen, quantized = seen_by_last(module, samples, monkeypatch)
    assert len(seen) == len(samples)
    for (x, _, read), found in zip(seen, read_by_last(quantized, samples), strict=True):
        # but for coarse scales that the multiplier makes a little larger
        assert np.square(read - found).mean() < 0.1 * np.square(x - found).mean()


def test_or_to_what_the_fp32_network_gives_it(network, monkeypatch):
    module, samples = network
    seen, _ = seen_by_last(module, samples, monkeypatch, fitted_inputs="fp32")
    for x, y, _ in seen:
        np.testing.assert_array_equal(x, y)


def test_networks_lose_less_so(network):
    module, samples = network
    fp32 = TorchGraph(module["main"])
    errors = {}
    for inputs in ("fp32", "quantized"):
        config = QuantConfig.parse("3/3/4/4", fitted_inputs=inputs)
        graph = TorchGraph(quantize(module, config, HARDWARE, samples)["main"])
        differences = [graph(torch.from_numpy(x[None])) - fp32(torch.from_numpy(x[None])) for x in samples]
        errors[inputs] = float(torch.cat(differences).square().mean())
    assert errors["quantized"] < 0.9 * errors["fp32"]


def test_where_memory_is_short_some_samples_stand_for_all(network, monkeypatch):
    module, samples = network
    monkeypatch.setattr(in_sequence, "_MOST_BYTES", 1)
    seen, _ = seen_by_last(module, samples, monkeypatch)
    assert len(seen) == 1


def test_a_walk_computes_what_runs_do(network):
    module, samples = network
    graph = TorchGraph(module["main"])
    runs = [[torch.from_numpy(x[None])] for x in samples[:2]]
    for var, states in graph.walk(runs):
        assert all(var not in values for values in states)
        held = sum(value.numel() for value in states[0].values())
        assert held <= graph.most_values
    alone = TorchGraph(module["main"], [var])
    for values, inputs in zip(states, runs, strict=True):
        np.testing.assert_array_equal(values[var].numpy(), alone(*inputs)[0].numpy())


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("rows", [20, 400])
def test_aims_make_up_for_errors_of_the_input(groups, centred, rows, monkeypatch):
    """Against the least squares over the rows themselves, where the ridge is small and all of it is taken."""
    monkeypatch.setattr("tvm_vsq.quantize.weights.aims._RIDGE", 1e-9)
    monkeypatch.setattr("tvm_vsq.quantize.weights.aims._PART", 1.0)
    monkeypatch.setattr("tvm_vsq.quantize.weights.moments._ROWS_PER_VALUE", 1000)
    rng = np.random.default_rng(0)
    size = 8 if groups > 1 else 64
    x = rng.standard_normal((rows, 1, 1, groups * size)).astype(np.float32) + 0.5
    y = (0.8 * x + 0.3 * np.roll(x, 1, axis=-1) + 0.1).astype(np.float32)
    w = rng.standard_normal((2 * groups, 1, 1, size)).astype(np.float32)
    window = Window((1, 1), [1, 1], [0] * 4, [1, 1], groups)
    sums = MomentSums("conv", FINE, 4, size, window, centred=centred, weights=w)
    sums.add(x[: rows // 2], y[: rows // 2])
    sums.add(x[rows // 2 :], y[rows // 2 :])
    moments = sums.moments()
    found = aims(w, moments).reshape(groups, 2, size)
    exact, rounded = (
        side.reshape(rows, groups, size) for side in (x, sums._quantized(torch.from_numpy(y)).numpy())
    )
    rounded = rounded * FINE.limit
    for group in range(groups):
        given, wanted = (
            rounded[:, group].astype(np.float64),
            exact[:, group] @ w.reshape(groups, 2, size)[group].T,
        )
        if centred:
            given, wanted = given - given.mean(0), wanted - wanted.mean(0)
        left = np.square(given @ found[group].T - wanted).sum()
        least = np.square(given @ np.linalg.lstsq(given, wanted, rcond=None)[0] - wanted).sum()
        without = np.square(given @ w.reshape(groups, 2, size)[group].T - wanted).sum()
        assert left <= least + 1e-3 * without


def test_a_layer_that_loses_nothing_keeps_its_aims():
    rng = np.random.default_rng(0)
    x = np.round(rng.standard_normal((64, 8)) * 8).astype(np.float32) / 8
    encoding = Encoding(VectorFormat(8, None, 8), limit=127 / 8)
    w = rng.standard_normal((5, 8)).astype(np.float32)
    sums = MomentSums("dense", encoding, 0, 8, None, weights=w)
    sums.add(x)
    np.testing.assert_allclose(aims(w, sums.moments()), w, atol=1e-6)


def test_a_tensor_may_be_multiplied_by_itself(monkeypatch):
    class Squares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.last = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.relu(self.a(x))
            return self.last(y * y)

    torch.manual_seed(0)
    samples = np.random.default_rng(0).standard_normal((4, 3, 8, 8), np.float32)
    module = import_model(Squares().eval(), (torch.zeros(1, 3, 8, 8),))
    seen, quantized = seen_by_last(module, samples, monkeypatch)
    for (x, _, read), found in zip(seen, read_by_last(quantized, samples), strict=True):
        assert np.square(read - found).mean() < 0.1 * np.square(x - found).mean()
