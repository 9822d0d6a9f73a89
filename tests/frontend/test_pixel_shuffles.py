"""Pixel shuffles are images between each other's rows and columns, of a convolution each if they can be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from tests.canonical import imported, operators
from tests.seeds import first_of, one_of
from torch import nn

import tvm_vsq
from tvm_vsq.frontend import import_model
from tvm_vsq.network import layer_names


class Scaled(nn.Module):
    """By channel and as a whole, with a bound."""

    def __init__(self):
        super().__init__()
        self.conv, self.factor = nn.Conv2d(3, 18, 3, padding=1), nn.Parameter(torch.randn(18, 1, 1))

    def forward(self, x):
        return torch.clamp(self.conv(x) * self.factor * 0.5 + 0.25, max=1.0)


class ReadTwice(nn.Module):
    """What is shuffled is no convolution's alone."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 4, 1), nn.Conv2d(4, 5, 1)

    def forward(self, x):
        y = torch.relu(self.a(x))
        return self.c(nn.functional.pixel_shuffle(y, 2)), self.b(y)


CHAINS = {
    "2": nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.PixelShuffle(2), nn.Conv2d(4, 5, 3)),
    "3": nn.Sequential(nn.Conv2d(3, 18, 3), nn.PixelShuffle(3), nn.Tanh(), nn.Conv2d(2, 5, 3)),
    "scaled": nn.Sequential(Scaled(), nn.PixelShuffle(3), nn.Conv2d(2, 5, 1)),
    "twice": nn.Sequential(
        *(nn.Conv2d(3, 32, 1), nn.PixelShuffle(2), nn.Conv2d(8, 8, 3)),
        *(nn.PixelShuffle(2), nn.Conv2d(2, 5, 1)),
    ),
}
OTHERS = {
    "back": nn.Sequential(nn.Conv2d(3, 4, 1), nn.PixelUnshuffle(2), nn.ReLU(), nn.Conv2d(16, 5, 1)),
    "read twice": ReadTwice(),
}


def check(exe, x, expected, bound):
    found = exe(x)
    for ours, reference, theirs in zip(*map(as_list, (found, exe.reference(x), expected)), strict=True):
        np.testing.assert_array_equal(ours, reference)
        assert np.square(ours - theirs).sum() < bound * np.square(theirs).sum()


def as_list(results):
    return list(results) if isinstance(results, tuple | list) else [results]


@pytest.mark.parametrize("case", first_of([*CHAINS, *OTHERS], 1))
def test_they_are_on_the_chip(case):
    torch.manual_seed(0)
    model, x = (CHAINS | OTHERS)[case].eval(), torch.randn(8, 3, 6, 8)
    exe = tvm_vsq.compile(model, "vsq-accel-int8", example_inputs=x[:1], calibration=x, strict=True)
    with torch.no_grad():
        expected = [tensor.numpy() for tensor in as_list(model(x[:1]))]
    check(exe, x[:1].numpy(), expected, 1e-3)
    added = [layer.name for layer in exe.timing().layers if layer.name.startswith(("copy", "order"))]
    assert bool(added) == (case in OTHERS)


@pytest.mark.parametrize("mode", ["CRD", "DCR"])
@pytest.mark.parametrize("kind", one_of(["DepthToSpace", "SpaceToDepth"]))
def test_onnx_models(onnx_models, kind, mode):
    node, rng = onnx_models.node, np.random.default_rng(0)
    inner = 3 if kind == "DepthToSpace" else 48
    attributes = {"blocksize": 2, **({"mode": mode} if kind == "DepthToSpace" else {})}
    constants = {
        "w": rng.standard_normal((12, 3, 1, 1), np.float32),
        "v": rng.standard_normal((4, inner, 1, 1), np.float32),
    }
    nodes = [
        node("Conv", ["x", "w"], "c"),
        node(kind, ["c"], "d", **attributes),
        node("Conv", ["d", "v"], "y"),
    ]
    model = onnx_models.model(nodes, constants, [1, 3, 6, 4], rank=4)
    x = rng.standard_normal((16, 3, 6, 4), np.float32)
    exe = tvm_vsq.compile(model, "vsq-accel-int8", calibration=x, strict=True)
    check(exe, x[:1], ReferenceEvaluator(model).run(None, {"x": x[:1]}), 1e-3)


def test_one_for_the_caller_leaves_its_convolution_whole():
    module = imported(nn.Sequential(nn.Conv2d(3, 16, 3), nn.PixelShuffle(2)), torch.randn(2, 3, 5, 6))
    assert operators(module).count("nn.conv2d") == 1
    assert list(layer_names(module).values()) == ["0"]


def test_what_only_looks_like_one_stays():
    """Rows and columns trade places."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 16, 1), nn.Conv2d(4, 4, 1)

        def forward(self, x):
            y = self.a(x).reshape(2, 4, 2, 2, 5, 5).permute(0, 1, 4, 3, 5, 2).reshape(2, 4, 10, 10)
            return self.b(y)

    module = import_model(Net().eval(), torch.randn(2, 3, 5, 5))
    assert operators(module).count("nn.conv2d") == 2
    assert "concat" not in operators(module)
