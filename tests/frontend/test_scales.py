"""Factors of channels that no weights can hold are depthwise layers."""

from __future__ import annotations

import torch
from tests.canonical import LAYERS, between, imported, operators, randomized
from torch import nn

from tvm_vsq.network import layer_names


class Dense(nn.Module):
    """Batch norm and ReLU of channels side by side, of which one part is read elsewhere (DenseNet)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 4, 3, padding=1)
        self.norm, self.last = nn.BatchNorm2d(10), nn.Conv2d(10, 5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        return self.last(torch.relu(self.norm(torch.cat([y, self.second(y)], 1))))


def test_a_batch_norm_behind_a_concat_is_a_layer_with_bias_and_relu():
    module = imported(randomized(Dense()), torch.randn(2, 3, 5, 4))
    found = between(module)
    assert set(found) <= {*LAYERS, "concat"}
    assert found[-5:] == ["nn.conv2d", "add", "nn.relu", "nn.conv2d", "add"]
    assert list(layer_names(module).values()) == ["first", "second", "scale_0", "last"]


def test_what_the_host_does_to_an_input_stays():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 5, 1))
    assert "multiply" in operators(imported(randomized(model), torch.randn(2, 3, 5, 4)))


def test_one_number_for_all_channels_stays():
    class Halved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.relu(self.first(x)) * 0.3)

    assert operators(imported(Halved(), torch.randn(2, 3, 5, 4))).count("nn.conv2d") == 2
