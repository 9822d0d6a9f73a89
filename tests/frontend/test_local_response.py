"""Local response normalization is a convolution between products."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from tests.canonical import between, imported
from tests.seeds import first_of, one_of
from torch import nn

import tvm_vsq
from tvm_vsq.frontend import import_model
from tvm_vsq.frontend.local_response import LocalResponse
from tvm_vsq.network import layer_names

SETTINGS = [(5, 1e-4, 0.75, 1.0), (4, 0.5, 0.5, 2.0), (1, 2.0, 0.75, 1.0), (20, 0.3, 1.0, 0.5)]
EXPECTED = ["nn.conv2d", "add", "multiply", "nn.conv2d", "add", "power", "multiply", "nn.conv2d", "add"]


@pytest.mark.parametrize(("size", "alpha", "beta", "bias"), first_of(SETTINGS, 2))
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


@pytest.mark.parametrize("source", one_of(["torch", "onnx"]))
def test_it_is_whole_on_the_chip_with_weights_that_are_fitted(source, tmp_path):
    """torch's export chooses by an extent that it knows; fitting leaves what the function relies on."""
    torch.manual_seed(0)
    norm = nn.LocalResponseNorm(5, alpha=0.5)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), norm, nn.MaxPool2d(2), nn.Conv2d(8, 4, 1)).eval()
    x = torch.randn(8, 3, 10, 10)
    options = {"example_inputs": x[:1], "calibration": x}
    given = model
    if source == "onnx":
        given, options = tmp_path / "model.onnx", {"calibration": x}
        torch.onnx.export(model, (x[:1],), str(given), dynamo=False, opset_version=17)
        assert "If" in {node.op_type for node in onnx.load(given).graph.node}
    exe = tvm_vsq.compile(given, "vsq-accel-int8", strict=True, **options)
    found, expected = exe(x[:1]), model(x[:1]).detach().numpy()
    np.testing.assert_array_equal(found, exe.reference(x[:1]))
    assert np.square(found - expected).sum() < 1e-3 * np.square(expected).sum()
