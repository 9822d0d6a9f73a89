"""Fused layers compute what the fake-quantized graph computes, in integers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from tests.quantizing import quantize
from tests.seeds import first_of, one_of
from torch import nn
from tvm.ir import load_json, save_json

from tvm_vsq import numerics
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, constant_array, definitions, dtype_of, op_name, static_shape
from tvm_vsq.hardware import load_hardware
from tvm_vsq.network import layer_names
from tvm_vsq.ops.conv2d.reference import conv2d_accumulate
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.transform import fuse, legalize_reference

NETWORKS = ("ResNet", "ClippedNet", "DepthwiseNet", "Mlp", "PlainNet")


def ops(module):
    return [op_name(binding.value) for binding in bindings(module["main"])]


def is_quantize(binding):
    return op_name(binding.value) == "vsq.quantize"


def is_multiply(binding):
    return op_name(binding.value) == "relax.multiply"


def layers(module):
    return [b.value for b in bindings(module["main"]) if op_name(b.value) in ("vsq.conv2d", "vsq.dense")]


@pytest.mark.parametrize(
    ("name", "notation"),
    [
        *first_of(itertools.product(NETWORKS, ["4/4/4/4", "8/8/-/-"]), 0),
        *one_of(itertools.product(["PlainNet", "Mlp"], ["4/8/6/10", "6/8/4/-"])),
    ],
)
def test_the_fused_module_is_close_to_the_fake_quantized_one(networks, stages, name, notation):
    stage = stages(getattr(networks, name), notation)
    results = (networks.run_tvm(module, stage.x) for module in (stage.fp32, stage.quantized, stage.fused))
    for fp32, fake, fused in zip(*results, strict=True):
        assert networks.sqnr_db(fake, fused) > 30
        assert networks.sqnr_db(fp32, fused) > networks.sqnr_db(fp32, fake) - 1
        assert networks.sqnr_db(fp32, fused) > (35 if notation == "8/8/-/-" else 12)


def test_integers_flow_from_layer_to_layer(networks, stages):
    assert ops(stages(networks.PlainNet).fused) == [
        "relax.permute_dims",
        "vsq.quantize",
        "vsq.conv2d",
        "vsq.conv2d",
        "vsq.conv2d",
        "relax.astype",
        "relax.multiply",
        "relax.permute_dims",
    ]


def test_a_residual_block_becomes_one_layer_per_convolution(networks, stages):
    found = layers(stages(networks.ResNet).fused)
    by_name = {str(call.attrs["layer"]): call for call in found}
    assert len(found) == 7
    adds_residual = {name for name, call in by_name.items() if len(call.args) == 4}
    assert adds_residual == {"layer1.conv2", "layer2.downsample.0"}
    assert [int(by_name[name].attrs["relu"]) for name in by_name] == [1, 1, 1, 1, 0, 1, 0]


@pytest.mark.parametrize("scale", [0.8, 1.7, 3.1, 8.0])
def test_relu6_is_the_nearest_step_to_6_whatever_a_step_is_worth(scale):
    """Requantized to vectors, where a step is that of the next layer's input, and wide."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(16, 16), nn.ReLU6(), nn.Linear(16, 16), nn.ReLU6())
    data = scale * torch.randn(64, 16)
    hardware, config = load_hardware("vsq-accel"), QuantConfig.parse("4/4/4/4").unfitted()
    quantized = quantize(import_model(model, (data[:4],)), config, hardware, data)
    fused = fuse(quantized, hardware)
    inner = next(
        float(b.value.attrs["inv"]) for b in reversed(list(bindings(quantized["main"]))) if is_quantize(b)
    )
    (step,) = (constant_array(b.value.args[1]) for b in bindings(fused["main"]) if is_multiply(b))
    clips = [set(constant_array(call.args[2])[:, 3].tolist()) for call in layers(fused)]
    assert clips == [{round(6 * inner)}, {round(6 / float(step))}]


def test_a_result_for_a_layer_and_for_the_caller_is_requantized_and_restored(networks, stages):
    module = stages(networks.ClippedNet).fused
    values = definitions(module["main"])
    restored = [value for value in values.values() if op_name(value) == "vsq.dequantize"]
    assert len(restored) == 1
    assert op_name(values[restored[0].args[0]]) == "vsq.conv2d"


def test_convolutions_with_groups_become_layers(networks, stages):
    module = stages(networks.GroupedNet).fused
    assert not layer_names(module)  # what is left in fp32


def test_leading_axes_of_a_linear_layer_are_kept(networks, stages):
    module = stages(networks.Mlp).fused
    shapes = [static_shape(b.var) for b in bindings(module["main"]) if op_name(b.value) == "vsq.dense"]
    assert shapes == [(2, 5, 3, 17), (2, 5, 20), (2, 5, 7)]


@pytest.mark.parametrize("bias_first", one_of([False, True]))
@pytest.mark.parametrize("residual_first", [False, True])
def test_operands_of_adds_come_in_either_order(networks, stages, bias_first, residual_first):
    class Orders(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(16, 16, bias=False), nn.Linear(16, 16, bias=False)
            self.bias = nn.Parameter(torch.linspace(-1, 1, 16))

        def forward(self, x):
            y = torch.relu(self.a(x))
            z = self.bias + self.b(y) if bias_first else self.b(y) + self.bias
            return torch.relu(y + z if residual_first else z + y)

    networks.INPUTS[Orders] = (3, 16)
    stage = stages(Orders)
    assert ops(stage.fused).count("relax.add") == 0
    assert [len(call.args) for call in layers(stage.fused)] == [3, 4]
    fake, fused = (networks.run_tvm(module, stage.x)[0] for module in (stage.quantized, stage.fused))
    assert networks.sqnr_db(fake, fused) > 30


def test_a_sum_of_two_layers_goes_to_the_later_one(networks, stages):
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(16, 16), nn.Linear(16, 16)

        def forward(self, x):
            return self.a(x) + self.b(x)

    networks.INPUTS[Sum] = (3, 16)
    assert [(str(c.attrs["layer"]), len(c.args)) for c in layers(stages(Sum).fused)] == [("a", 3), ("b", 4)]


def test_a_broadcast_sum_is_not_taken_for_a_residual(networks, stages):
    class Broadcast(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(16, 16)

        def forward(self, x):
            return self.a(x) + x.mean(0, keepdim=True)

    networks.INPUTS[Broadcast] = (3, 16)
    stage = stages(Broadcast)
    assert [len(call.args) for call in layers(stage.fused)] == [3]
    assert "relax.add" in ops(stage.fused)


def test_a_single_layer_matches_the_numpy_reference_bit_for_bit(networks, stages):
    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(16, 6, 3, stride=2, padding=1)

        def forward(self, x):
            return torch.relu(self.conv(x))

    networks.INPUTS[One] = (2, 16, 7, 8)
    stage = stages(One)
    values = definitions(stage.fused["main"])
    (layer,) = layers(stage.fused)
    quantizer = values[layer.args[0]]
    guard_bits = int(quantizer.attrs["guard_bits"])
    fmt = load_hardware("vsq-accel").formats.activation
    gamma = np.float32(2**guard_bits / float(quantizer.attrs["inv"]))
    x = np.ascontiguousarray(stage.x.numpy().transpose(0, 2, 3, 1))
    weights, params = constant_array(layer.args[1]), constant_array(layer.args[2])
    acc = conv2d_accumulate(
        numerics.quantize_activations(x, fmt, gamma, guard_bits), weights, (2, 2), (1, 1, 1, 1), (1, 1), 0, 8
    )
    y = numerics.post_process(acc, params, relu=True)
    (scale,) = (constant_array(v.args[1]) for v in values.values() if op_name(v) == "relax.multiply")
    expected = (y.astype(np.float32) * scale).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(networks.run_tvm(stage.fused, stage.x)[0], expected)


def test_weights_are_integers_and_survive_json(networks, stages):
    stage = stages(networks.Mlp)
    assert {dtype_of(call.args[1]) for call in layers(stage.fused)} == {"int16"}
    again = load_json(save_json(stage.fused))
    np.testing.assert_array_equal(
        networks.run_tvm(again, stage.x)[0], networks.run_tvm(stage.fused, stage.x)[0]
    )


def test_the_reference_is_plain_tensor_ir(networks, stages):
    stage = stages(networks.PlainNet)
    reference = legalize_reference(stage.fused)
    assert set(ops(reference)) == {"relax.call_tir"}
    np.testing.assert_array_equal(
        networks.run_tvm(reference, stage.x)[0], networks.run_tvm(stage.fused, stage.x)[0]
    )
