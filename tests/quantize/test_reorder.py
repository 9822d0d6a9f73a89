"""Channels move inside the network, and the network stays the same function."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.quantizing import quantize
from tests.seeds import first_of
from torch import nn

from tvm_vsq.frontend import import_model
from tvm_vsq.graph import constant_array, definitions
from tvm_vsq.hardware import load_hardware
from tvm_vsq.network import layer_names, source_of
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.quantize.calibration import observe
from tvm_vsq.quantize.reorder import channel_orders, reorder_channels

HARDWARE = load_hardware("vsq-accel")


def reordered(networks, network):
    model, x = networks.build(network)
    module = import_model(model, (x,))
    return module, reorder_channels(module, networks.samples(network)), x


def weights(module):
    values = definitions(module["main"])
    return {
        name: constant_array(values[var].args[1])
        for var, name in layer_names(module).items()
        if source_of(values[var]).weights
    }


@pytest.mark.parametrize("name", first_of(["ResNet", "DepthwiseNet", "ClippedNet", "Mlp", "PlainNet"], 1))
def test_the_network_computes_the_same(networks, name):
    module, other, x = reordered(networks, getattr(networks, name))
    expected, found = (networks.run_tvm(m, x) for m in (module, other))
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5 * np.abs(a).max())


def test_channels_that_layers_alone_read_are_sorted(networks):
    class Chain(nn.Module):
        """A convolution, a depthwise one, a pool, a convolution, a mean, a linear layer."""

        def __init__(self):
            super().__init__()
            self.a, self.dw = nn.Conv2d(3, 24, 3), nn.Conv2d(24, 24, 3, groups=24)
            self.b, self.c = nn.Conv2d(24, 20, 1), nn.Linear(20, 5)

        def forward(self, x):
            x = nn.functional.max_pool2d(torch.relu(self.dw(torch.relu(self.a(x)))), 2)
            return self.c(nn.functional.gelu(self.b(x)).mean((2, 3)))

    networks.INPUTS[Chain] = (1, 3, 12, 12)
    module, other, x = reordered(networks, Chain)
    np.testing.assert_allclose(
        networks.run_tvm(other, x)[0], networks.run_tvm(module, x)[0], rtol=1e-4, atol=1e-6
    )
    values = definitions(other["main"])
    layers = {name: values[var].args[0] for var, name in layer_names(other).items()}
    for name in ("b", "c"):
        energy = sum(
            np.square(v.reshape(-1, v.shape[-1]).astype(float)).sum(axis=0)
            for (v,) in observe(other, [layers[name]], networks.samples(Chain))
        )
        assert (np.diff(energy) <= 1e-4 * energy[:-1]).all()
    old, new = weights(module), weights(other)
    assert not np.array_equal(old["a"], new["a"])
    assert sorted(old["a"].ravel()) == sorted(new["a"].ravel())


def test_what_anything_else_reads_keeps_its_order(networks):
    class Open(nn.Module):
        """One result leaves the network, one is mixed by a softmax, one is added to the input."""

        def __init__(self):
            super().__init__()
            self.a, self.b, self.c, self.d = (nn.Linear(16, 16) for _ in range(4))

        def forward(self, x):
            y = self.a(x)
            z = self.c(torch.softmax(self.b(y), -1))
            return y, self.d(z + x)

    networks.INPUTS[Open] = (4, 16)
    module, other, _ = reordered(networks, Open)
    old, new = weights(module), weights(other)
    assert all(np.array_equal(old[name], new[name]) for name in old)


def test_it_helps_vectors_whose_channels_differ(networks):
    class Skewed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(32, 64), nn.Linear(64, 8)
            with torch.no_grad():
                self.a.weight *= 4.0 ** (torch.arange(64) % 4)[:, None]
                self.b.weight /= 4.0 ** (torch.arange(64) % 4)

        def forward(self, x):
            return self.b(torch.relu(self.a(x)))

    networks.INPUTS[Skewed] = (16, 32)
    model, x = networks.build(Skewed)
    module = import_model(model, (x,))
    ratios = {}
    for order in ("model", "magnitude"):
        config = QuantConfig.parse("4/4/4/4", channel_order=order)
        result = networks.run_tvm(quantize(module, config, HARDWARE, networks.samples(Skewed)), x)[0]
        ratios[order] = networks.sqnr_db(networks.run_tvm(module, x)[0], result)
    assert ratios["magnitude"] > ratios["model"] + 3


def test_a_channel_that_is_broadcast_to_several_is_not_moved(networks):
    class Broadcast(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 1), nn.Linear(5, 4)
            self.w = nn.Parameter(torch.arange(5.0))

        def forward(self, x):
            return self.b(torch.relu(self.a(x) + self.w))

    networks.INPUTS[Broadcast] = (4, 6)
    module, other, _ = reordered(networks, Broadcast)
    assert np.array_equal(weights(module)["b"], weights(other)["b"])


def test_the_orders_of_all_layers_are_known(networks):
    module, other, _ = reordered(networks, networks.DepthwiseNet)
    orders = channel_orders(other)
    assert orders["expand"]["outputs"] == orders["depthwise"]["outputs"] == orders["project"]["inputs"]
    old, new = weights(module), weights(other)
    assert np.array_equal(old["depthwise"][orders["depthwise"]["outputs"]], new["depthwise"])
    assert np.array_equal(old["project"][..., orders["project"]["inputs"]], new["project"])


def test_the_order_is_that_of_the_model_if_the_config_says_so():
    assert not QuantConfig.parse("4/4/4/4", channel_order="model").reorders_channels
