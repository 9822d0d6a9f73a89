"""Transposed convolutions are ordinary ones between each other's rows and columns."""

from __future__ import annotations

import random

import pytest
import torch
from tests.canonical import LAYERS, MOVES, between, imported, operators, randomized, through_onnx
from tests.seeds import seeds
from torch import nn

from tvm_vsq.graph import bindings, constant_array, op_name, static_shape
from tvm_vsq.network import layer_names


def draw(seed: int, axes: int) -> tuple[nn.Module, torch.Tensor]:
    """A transposed convolution with batch norm and ReLU between others, and an input."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    pick = [(rng.randint(1, 4), rng.randint(1, 5), rng.randint(1, 3), rng.randint(1, 6)) for _ in range(axes)]
    stride, kernel, dilation, extent = zip(*pick, strict=True)
    more = [rng.randint(0, step - 1) for step in stride]
    reach = [
        (n - 1) * s + d * (k - 1) + o for s, k, d, n, o in zip(*zip(*pick, strict=True), more, strict=True)
    ]
    padding = [rng.randint(0, min(3, most // 2)) for most in reach]
    kinds = (nn.ConvTranspose1d, nn.BatchNorm1d) if axes == 1 else (nn.ConvTranspose2d, nn.BatchNorm2d)
    options = {"groups": rng.choice([1, 1, 2, 4]), "bias": rng.random() < 0.7, "dilation": dilation}
    layer = kinds[0](4, 8, kernel, stride, padding, more, **options)
    model = nn.Sequential(layer, kinds[1](8), nn.ReLU())
    return randomized(model, seed), torch.randn(2, 4, *extent)


@pytest.mark.parametrize("seed", seeds(24))
def test_images_of_any_stride_padding_and_dilation(seed):
    model, x = draw(seed, 2)
    assert set(between(imported(model, x))) <= LAYERS | MOVES


@pytest.mark.parametrize("seed", seeds(12))
def test_sequences(seed):
    model, x = draw(seed, 1)
    assert set(between(imported(model, x))) <= LAYERS | MOVES


def test_no_more_products_than_the_transposed_one_has():
    """Products with zeros that stand for strides are not computed: 4 phases of 2x2 taps, of 16."""
    module = imported(nn.ConvTranspose2d(3, 8, 4, 2, 1), torch.randn(1, 3, 5, 6))
    kernels = [
        static_shape(binding.value.args[1])
        for binding in bindings(module["main"])
        if op_name(binding.value) == "relax.nn.conv2d"
    ]
    assert kernels == [(8, 2, 2, 3)] * 4


def test_every_phase_is_a_whole_layer():
    """Batch norm is in the weights, bias and ReLU directly behind each convolution."""
    model = nn.Sequential(nn.ConvTranspose2d(3, 8, 2, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3))
    module = imported(randomized(model), torch.randn(1, 3, 4, 5))
    assert "multiply" not in operators(module)
    values = {binding.var: binding.value for binding in bindings(module["main"])}
    for value in values.values():
        if op_name(value) == "relax.nn.relu":
            bias = values[value.args[0]]
            assert op_name(bias) == "relax.add"
            assert op_name(values[bias.args[0]]) == "relax.nn.conv2d"


def test_phases_are_named_after_their_layer():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(4, 8, 2, (2, 1)), nn.Conv2d(8, 4, 3))
    x = torch.randn(1, 3, 4, 5)
    for module in (imported(model, x), through_onnx(model, x)):
        assert list(layer_names(module).values()) == ["0", "1/phase 0,0", "1/phase 1,0", "2"]


def test_without_strides_a_transposed_convolution_is_one_layer_of_its_own_name():
    module = imported(nn.Sequential(nn.ConvTranspose2d(3, 8, 3)), torch.randn(1, 3, 4, 5))
    assert list(layer_names(module).values()) == ["0"]


def test_phases_that_no_tap_reaches_hold_the_bias():
    module = imported(nn.Sequential(nn.ConvTranspose2d(3, 8, 1, 2)), torch.randn(1, 3, 4, 5))
    weights = [
        constant_array(b.value.args[1]) for b in bindings(module["main"]) if "conv2d" in op_name(b.value)
    ]
    assert [bool(array.any()) for array in weights] == [True, False, False, False]


def test_onnx_models_with_uneven_padding():
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    w = torch.randn(4, 6, 4, 3, generator=torch.Generator().manual_seed(0)).numpy()
    node = helper.make_node(
        "ConvTranspose", ["x", "w"], ["y"], strides=[2, 3], pads=[0, 1, 2, 0], output_padding=[1, 2]
    )
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 5, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 6, 11, 10])],
        [numpy_helper.from_array(w, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    module = through_onnx(model, torch.randn(1, 4, 5, 3))
    assert "nn.conv2d_transpose" not in operators(module)
    assert next(iter(layer_names(module).values())) == "w/phase 0,0"
