"""Zeros that no layer takes as its padding are layers between layers, and stay elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.canonical import imported, operators
from tests.seeds import first_of, one_of
from torch import nn
from torch.nn import functional as F

import tvm_vsq
from tvm_vsq.quantize.pads import pads_to_layers


class Net(nn.Module):
    """`join` of two tensors, one with zeros beside it, between convolutions."""

    def __init__(self, widths, join, stride=1, channels=16, signed=False):
        super().__init__()
        self.widths, self.join, self.signed = widths, join, signed
        self.a, self.b = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, channels, 3, stride, padding=1)
        self.c = nn.LazyConv2d(4, 1)

    def forward(self, x):
        y = self.a(x) if self.signed else torch.relu(self.a(x))
        return self.c(self.join(F.pad(y, self.widths), self.b(y)))


def option_a(y, z):
    """The shortcut of He et al., "Deep Residual Learning", CVPR 2016, section 4.2."""
    return torch.relu(y[:, :, ::2, ::2] + z)


def cropped(y, z):
    return torch.cat([y[:, :, : z.shape[2], : z.shape[3]], z], 1)


def largest(y, z):
    return F.max_pool2d(y, 3, 2) + z[:, :, :5, :5]


NETS = {
    "channels": Net((0, 0, 0, 0, 8, 8), option_a, 2, 32),
    "some channels": Net((0, 0, 0, 0, 0, 3), lambda y, z: torch.cat([y, z], 1)),
    "rows and columns": Net((1, 2, 0, 3), cropped),
    "both": Net((1, 1, 1, 1, 2, 0), cropped),
    "before a maximum": Net((1, 1, 1, 1), largest, signed=True),
}


@pytest.mark.parametrize("case", first_of(NETS, 2))
@pytest.mark.parametrize("target", one_of(["vsq-accel", "vsq-accel-int8"]))
def test_they_are_on_the_chip(case, target):
    torch.manual_seed(0)
    model, x = NETS[case].eval(), torch.randn(8, 3, 10, 9)
    model(x)
    exe = tvm_vsq.compile(model, target, example_inputs=x[:1], calibration=x, strict=True)
    found, expected = exe(x[:1].numpy()), model(x[:1]).detach().numpy()
    np.testing.assert_array_equal(found, exe.reference(x[:1].numpy()))
    bound = 1e-3 if target == "vsq-accel-int8" else 0.05
    assert np.square(found - expected).sum() < bound * np.square(expected).sum()
    (padded,) = (row for row in exe.explain() if row.layer == "pad")
    assert ("clamps at 0" in padded.why) != model.signed


@pytest.mark.parametrize(
    "model",
    first_of(
        [
            nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(2), nn.Conv2d(3, 4, 1)),
            nn.Sequential(nn.Conv2d(3, 4, 1), nn.ZeroPad2d(1)),
            nn.Sequential(nn.Conv2d(3, 4, 1), nn.ConstantPad2d(1, 0.5), nn.Conv2d(4, 4, 1)),
            nn.Sequential(nn.Conv2d(3, 4, 1), nn.ZeroPad2d(1), nn.Conv2d(4, 4, 3)),
        ],
        2,
    ),
    ids=["of the input", "of the result", "of ones", "of a convolution"],
)
def test_others_are_none(model):
    module = pads_to_layers(imported(model, torch.randn(2, 3, 5, 6)), 16)
    convolutions = [name for name in operators(module) if name == "nn.conv2d"]
    assert len(convolutions) == sum(isinstance(layer, nn.Conv2d) for layer in model)


@pytest.mark.parametrize(("size", "stays"), [(16, True), (8, True), (4, False)])
def test_zeros_that_fill_a_vector_move_none(size, stays):
    """12 channels become 16: the last vector was begun, or one is added."""
    model = nn.Sequential(nn.Conv2d(3, 12, 1), nn.ConstantPad3d((0, 0, 0, 0, 0, 4), 0.0), nn.Conv2d(16, 4, 1))
    module = imported(model, torch.randn(2, 3, 5, 6))
    assert ("nn.pad" in operators(pads_to_layers(module, size))) == stays
