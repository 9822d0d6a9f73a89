"""What every pass after the frontend may rely on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from tvm import relax
from tvm.ir import IRModule, load_json, save_json

from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, constant, is_constant, op_name, static_shape
from tvm_vsq.network import layer_names


def ops(module: IRModule) -> list[str]:
    return [op_name(binding.value).removeprefix("relax.") for binding in bindings(module["main"])]


def test_convolutions_are_nhwc_with_ohwi_constant_weights(networks):
    model, x = networks.build(networks.ResNet)
    for binding in bindings(import_model(model, (x,))["main"]):
        if op_name(binding.value) == "relax.nn.conv2d":
            attrs = binding.value.attrs
            assert (attrs.data_layout, attrs.kernel_layout, attrs.out_layout) == ("NHWC", "OHWI", "NHWC")
            assert is_constant(binding.value.args[1])


def test_layers_follow_each_other_without_layout_changes(networks):
    model, x = networks.build(networks.ResNet)
    names = ops(import_model(model, (x,)))
    assert names.count("permute_dims") == 1  # the input
    assert names.index("permute_dims") == 0
    assert not {"nn.batch_norm", "zeros_like"} & set(names)


def test_relu6_and_pools_do_not_change_the_layout(networks):
    model, x = networks.build(networks.ClippedNet)
    names = ops(import_model(model, (x,)))
    assert names.count("permute_dims") == 3  # one input, two results
    assert names.count("clip") == 2


def test_linear_layers_on_sequences_keep_their_leading_axes(networks):
    model, x = networks.build(networks.Mlp)
    module = import_model(model, (x,))
    assert "reshape" not in ops(module)
    layers = [b.var for b in bindings(module["main"]) if op_name(b.value) == "relax.matmul"]
    assert [static_shape(var) for var in layers] == [(2, 5, 33), (2, 5, 20), (2, 5, 7)]


def test_layers_are_named_after_their_parameters(networks):
    model, x = networks.build(networks.ResNet)
    assert list(layer_names(import_model(model, (x,))).values()) == [
        "conv1",
        "layer1.conv1",
        "layer1.conv2",
        "add_0",
        "layer2.conv1",
        "layer2.conv2",
        "layer2.downsample.0",
        "add_1",
        "avg_pool2d_0",
        "fc",
    ]


def test_a_layer_that_is_used_twice_gets_two_names():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            return self.fc(torch.relu(self.fc(x)))

    assert list(layer_names(import_model(Twice(), torch.randn(1, 4))).values()) == ["fc", "fc#2"]


def test_a_product_of_activations_is_not_named_after_a_weight():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.query(x) @ self.key(x).transpose(-1, -2)

    names = list(layer_names(import_model(Attention(), torch.randn(2, 3, 4))).values())
    assert names == ["query", "key", "matmul_2"]


def test_parametrized_weights_are_folded_and_keep_the_name_of_their_layer():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
    module = import_model(nn.Sequential(layer), torch.randn(2, 4))
    assert list(layer_names(module).values()) == ["0"]
    assert ops(module) == ["matmul", "add"]


def test_a_relax_module_gets_names_from_kind_and_position(networks):
    x = relax.Var("x", relax.TensorType((2, 4), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit(relax.op.matmul(x, constant(np.ones((4, 3), np.float32))))
            result = builder.emit_output(relax.op.nn.relu(y))
        builder.emit_func_output(result)
    module = import_model(builder.get())
    assert list(layer_names(module).values()) == ["dense_0"]
    np.testing.assert_array_equal(
        networks.run_tvm(module, np.ones((2, 4), np.float32))[0], np.full((2, 3), 4.0)
    )


@pytest.mark.parametrize(
    ("data_layout", "kernel_layout"), [("NCHW", "OIHW"), ("NHWC", "OHWI"), ("NHWC", "HWIO")]
)
def test_convolutions_arrive_in_any_layout(networks, data_layout, kernel_layout):
    rng = np.random.default_rng(0)
    shape = {"N": 1, "C": 3, "H": 5, "W": 6}
    kernel = {"O": 4, "I": 3, "H": 3, "W": 3}
    values = rng.standard_normal([shape[axis] for axis in data_layout]).astype(np.float32)
    weights = rng.standard_normal([kernel[axis] for axis in kernel_layout]).astype(np.float32)
    x = relax.Var("x", relax.TensorType(values.shape, "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            conv = relax.op.nn.conv2d(
                x, constant(weights), data_layout=data_layout, kernel_layout=kernel_layout
            )
            result = builder.emit_output(builder.normalize(conv))
        builder.emit_func_output(result)
    module = import_model(builder.get())
    (layer,) = (b.value for b in bindings(module["main"]) if op_name(b.value) == "relax.nn.conv2d")
    assert (layer.attrs.data_layout, layer.attrs.kernel_layout) == ("NHWC", "OHWI")
    np.testing.assert_allclose(
        networks.run_tvm(module, values)[0], networks.run_tvm(builder.get(), values)[0], rtol=1e-4, atol=1e-5
    )


def test_names_survive_json(networks):
    model, x = networks.build(networks.Mlp)
    module = import_model(model, (x,))
    again = load_json(save_json(module))
    assert (
        list(layer_names(again).values())
        == list(layer_names(module).values())
        == ["up", "down", "add_0", "layer_norm_0", "head"]
    )
