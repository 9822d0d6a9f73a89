"""Convolutions with groups become ordinary and depthwise ones, which compute the same."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from tests.canonical import imported, randomized
from tests.networks import run_tvm
from tests.seeds import seeds
from torch import nn

from tvm_vsq.frontend.given import GivenWeights, with_given
from tvm_vsq.graph import bindings, op_name, static_shape
from tvm_vsq.network import layer_names, refusal
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.quantize.groups import Channels, split_groups

CONFIG = QuantConfig.parse("4/4/4/4").unfitted()  # vectors of 16


def split(model, x, config=CONFIG):
    """The module without groups, which computes what torch does."""
    module = split_groups(imported(model, x), config)
    with torch.no_grad():
        expected = model(x).numpy()
    np.testing.assert_allclose(run_tvm(module, x)[0], expected, atol=2e-5 * np.abs(expected).max(), rtol=0)
    return module


def kernels(module):
    return [
        (static_shape(b.value.args[1]), int(b.value.attrs.groups))
        for b in bindings(module["main"])
        if op_name(b.value) == "relax.nn.conv2d"
    ]


@pytest.mark.parametrize("seed", seeds(30))
def test_any_groups(seed):
    rng = random.Random(seed)
    torch.manual_seed(seed)
    groups, inputs, outputs = rng.randint(2, 8), rng.choice([1, 2, 4, 8, 16]), rng.choice([1, 2, 3, 8, 16])
    options = {"stride": rng.randint(1, 2), "padding": rng.randint(0, 2), "bias": rng.random() < 0.5}
    layer = nn.Conv2d(groups * inputs, groups * outputs, rng.randint(1, 3), groups=groups, **options)
    model = nn.Sequential(
        layer, nn.BatchNorm2d(groups * outputs), nn.ReLU(), nn.Conv2d(groups * outputs, 3, 1)
    )
    module = split(randomized(model, seed), torch.randn(2, groups * inputs, 6, 5))
    layers = [b.value for b in bindings(module["main"]) if op_name(b.value) == "relax.nn.conv2d"]
    assert [refusal(call) for call in layers] == [""] * len(layers)


@pytest.mark.parametrize(
    ("channels", "joined"),
    [
        (Channels(64, 64, 4), 1),  # whole vectors
        (Channels(128, 128, 32), 4),  # ResNeXt's: 4 channels a group
        (Channels(64, 128, 8), 2),  # 8 inputs and 16 outputs a group
        (Channels(48, 96, 3), 1),
        (Channels(40, 40, 5), 5),  # two of five do not go
        (Channels(24, 24, 3), 3),
    ],
)
def test_as_few_groups_are_joined_as_leave_whole_vectors(channels, joined):
    assert channels.joined(16) == joined


def test_groups_of_whole_vectors_are_a_convolution_each():
    model = nn.Sequential(nn.Conv2d(96, 48, 3, groups=2), nn.ReLU(), nn.Conv2d(48, 8, 1))
    module = split(model, torch.randn(1, 96, 5, 5), QuantConfig.parse("4/4/4/4", vector_size=8).unfitted())
    assert kernels(module) == [((24, 3, 3, 48), 1)] * 2 + [((8, 1, 1, 48), 1)]
    assert list(layer_names(module).values()) == ["0/group 0", "0/group 1", "2"]


def test_joined_groups_hold_zeros_for_one_another():
    model = nn.Sequential(nn.Conv2d(32, 32, 1, groups=4), nn.Conv2d(32, 8, 1))
    module = split(model, torch.randn(1, 32, 5, 5))
    assert kernels(module) == [((16, 1, 1, 16), 1)] * 2 + [((8, 1, 1, 32), 1)]


def test_groups_that_never_fill_vectors_are_one_layer_of_the_same_name():
    model = nn.Sequential(nn.Conv2d(24, 24, 1, groups=3), nn.Conv2d(24, 8, 1))
    module = split(model, torch.randn(1, 24, 5, 5))
    assert kernels(module) == [((24, 1, 1, 24), 1), ((8, 1, 1, 24), 1)]
    assert list(layer_names(module).values()) == ["0", "1"]


def test_several_results_for_each_channel_are_as_many_depthwise_layers():
    model = nn.Sequential(nn.Conv2d(6, 18, 3, groups=6), nn.ReLU6(), nn.Conv2d(18, 8, 1))
    module = split(model, torch.randn(1, 6, 5, 5))
    assert kernels(module) == [((6, 3, 3, 1), 6)] * 3 + [((8, 1, 1, 18), 1)]
    assert list(layer_names(module).values()) == [*(f"0/channels {n}" for n in range(3)), "2"]


def test_a_rule_that_names_the_layer_holds_for_its_groups():
    model = nn.Sequential(nn.Conv2d(32, 32, 1, groups=2), nn.ReLU(), nn.Conv2d(32, 8, 1))
    x = torch.randn(1, 32, 5, 5)
    kept = split(model, x, CONFIG.model_copy(update={"rules": (rule("0", fp32=True),)}))
    assert list(layer_names(kept).values()) == ["0", "2"]


def rule(layers, **settings):
    from tvm_vsq.quantize.config import Rule

    return Rule(layers=layers, **settings)


def test_weights_that_came_as_integers_stay():
    module = imported(
        nn.Sequential(nn.Conv2d(32, 32, 1, groups=2), nn.Conv2d(32, 8, 1)), torch.randn(1, 32, 4, 4)
    )
    elements = np.ones((32, 1, 1, 16), np.int16)
    given = GivenWeights(elements, np.ones((32, 1, 1, 1), np.int32), np.ones(32, np.float32), 16)
    with_integers = with_given(module, {"0": given}, {})
    assert kernels(split_groups(with_integers, CONFIG)) == kernels(module)
