"""Parametric ReLUs become scaled tensors, a bound and a sum."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import tvm_vsq
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, op_name
from tvm_vsq.importing import import_checked


def model_of(slopes):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, len(slopes), 1), nn.PReLU(len(slopes)), nn.Conv2d(len(slopes), 4, 1))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor(slopes))
    return model.eval()


def operators(module):
    return {op_name(binding.value) for binding in bindings(module["main"])}


SLOPES = [0.25, 0.0, -0.5, 1.0, 0.1, 0.3, 0.9, -2.0]


def test_of_torch_whole_on_the_chip():
    x = torch.randn(16, 3, 6, 5)
    model = model_of(SLOPES)
    assert operators(import_checked(model, x)) == {
        "relax.permute_dims",
        "relax.nn.conv2d",
        "relax.add",
        "relax.nn.relu",
    }
    exe = tvm_vsq.compile(model, "vsq-accel-int8", example_inputs=x, calibration=x, strict=True)
    found = exe(x.numpy())
    np.testing.assert_array_equal(found, exe.reference(x.numpy()))
    expected = model(x).detach().numpy()
    assert np.square(found - expected).sum() < 1e-3 * np.square(expected).sum()


def test_of_onnx():
    slopes = np.array(SLOPES, np.float32).reshape(8, 1, 1)
    node = helper.make_node("PRelu", ["x", "slopes"], ["y"])
    shaped = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 8, 5, 4]) for name in "xy"]
    constants = [numpy_helper.from_array(slopes, "slopes")]
    graph = helper.make_graph([node], "g", shaped[:1], shaped[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    assert operators(import_checked(model)) == {"relax.multiply", "relax.nn.relu", "relax.add"}


@pytest.mark.parametrize("slopes", [[0.25] * 8, [0.25, 1.5] * 4])
def test_equal_slopes_are_a_function_and_steep_ones_stay(slopes):
    module = import_model(model_of(slopes), torch.randn(2, 3, 5, 4))
    assert "relax.nn.relu" not in operators(module)
    assert ("relax.nn.leakyrelu" in operators(module)) == (max(slopes) <= 1)
