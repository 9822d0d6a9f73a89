"""Local response normalization is a convolution between products."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from tests.canonical import between, imported
from torch import nn

from tvm_vsq.frontend import import_model
from tvm_vsq.frontend.local_response import LocalResponse
from tvm_vsq.network import layer_names

SETTINGS = [(5, 1e-4, 0.75, 1.0), (4, 0.5, 0.5, 2.0), (1, 2.0, 0.75, 1.0), (20, 0.3, 1.0, 0.5)]
EXPECTED = ["nn.conv2d", "add", "multiply", "nn.conv2d", "add", "power", "multiply", "nn.conv2d", "add"]


@pytest.mark.parametrize(("size", "alpha", "beta", "bias"), SETTINGS)
def test_of_torch(size, alpha, beta, bias):
    torch.manual_seed(0)
    norm = nn.LocalResponseNorm(size, alpha, beta, bias)
    model = nn.Sequential(nn.Conv2d(3, 8, 1), norm, nn.Conv2d(8, 4, 1))
    module = imported(model, torch.randn(2, 3, 5, 4))
    assert between(module) == EXPECTED
    assert list(layer_names(module).values())[:3] == ["0", "multiply_0", "local_response_norm_0"]


@pytest.mark.parametrize(("size", "alpha", "beta", "bias"), SETTINGS)
def test_of_onnx(networks, size, alpha, beta, bias):
    node = helper.make_node("LRN", ["x"], ["y"], size=size, alpha=alpha, beta=beta, bias=bias)
    shaped = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 8, 5, 4]) for name in "xy"]
    graph = helper.make_graph([node], "g", shaped[:1], shaped[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    x = np.random.default_rng(0).standard_normal((2, 8, 5, 4), np.float32)
    module = import_model(model)
    # ONNX Runtime has no even sizes, and onnx's own evaluator takes images for channels
    expected = np.empty_like(x)
    for channel in range(8):
        first, end = max(0, channel - (size - 1) // 2), min(8, channel + size // 2 + 1)
        total = bias + alpha / size * np.square(x[:, first:end]).sum(axis=1)
        expected[:, channel] = x[:, channel] / total**beta
    np.testing.assert_allclose(networks.run_tvm(module, x)[0], expected, rtol=1e-5, atol=1e-5)
    assert "nn.conv2d" in between(module)


def test_the_window_ends_at_the_first_and_the_last_channel():
    band = LocalResponse(size=3, before=1, alpha=3.0, beta=0.75, bias=1.0).kernel(4)[..., 0, 0]
    np.testing.assert_array_equal(band, [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]])


def test_a_quotient_of_something_else_stays():
    class Other(nn.Module):
        """The mean of the squares of another tensor."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            squares = (x * torch.relu(x)).unsqueeze(1)
            means = nn.functional.avg_pool3d(squares, (3, 1, 1), 1, (1, 0, 0)).squeeze(1)
            return x / (means * 0.5 + 1.0) ** 0.75

    assert "nn.avg_pool3d" in between(imported(Other(), torch.randn(2, 8, 5, 4)))
