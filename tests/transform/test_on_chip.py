"""strict=True: a network is whole on the accelerator, or the error says what is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import tvm_vsq
from tvm_vsq.errors import QuantizationError


class Sine(nn.Module):
    """What has no form on the accelerator."""

    def forward(self, x):
        return torch.sin(x)


def compiled(model, x, **options):
    options = {"example_inputs": x[:1], "calibration": x, "quant": "8/8/-/-", "strict": True, **options}
    return tvm_vsq.compile(model.eval(), "vsq-accel-int8", **options)


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(16, 3, 9, 9)


def test_a_classifier_is_whole_with_views_and_what_lies_outside_of_its_layers(x):
    """The input is pooled and the result goes through softmax, both in fp32."""
    model = nn.Sequential(
        nn.MaxPool2d(2, 1),
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
        nn.Softmax(-1),
    )
    exe = compiled(model, x)
    np.testing.assert_array_equal(exe(x[:1]), exe.reference(x[:1]))


def test_what_lies_between_two_layers_is_refused_with_its_reason(x):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), Sine(), nn.Conv2d(8, 4, 1))
    with pytest.raises(QuantizationError) as caught:
        compiled(model, x)
    text = str(caught.value)
    assert text.startswith("strict=True, but ")
    assert "(3 of them only bring tensors there and back): relax.sin behind layer '0': no accelerator" in text
    assert "drop strict" in text
    assert compiled(model, x, strict=False)(x[:1]).shape == (1, 4, 7, 7)


def test_a_layer_without_a_form_is_refused_wherever_it_stands(x):
    class Correlation(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(3, 8, 3)

        def forward(self, x):
            y = torch.relu(self.first(x))
            return nn.functional.conv2d(y, y[:, :, :1, :1])

    found = r"strict=True, but \d+ operators .* relax\.nn\.conv2d of layer 'conv2d_1': the kernel is computed"
    with pytest.raises(QuantizationError, match=found):
        compiled(Correlation(), x)


def test_a_move_without_a_form_is_named(x):
    class Turned(nn.Module):
        def forward(self, x):
            return x.transpose(1, 3)

    layers = [nn.Conv2d(3, 8, 1), Turned(), nn.Conv2d(9, 4, 1)]
    with pytest.raises(QuantizationError, match="permute_dims behind layer '0': moves elements"):
        compiled(nn.Sequential(*layers), x)


def test_many_operators_are_counted(x):
    layers = [nn.Conv2d(3, 8, 1)]
    for _ in range(9):
        layers += [Sine(), nn.Conv2d(8, 8, 1)]
    with pytest.raises(QuantizationError, match=r"and \d+ more; drop strict"):
        compiled(nn.Sequential(*layers), x)
