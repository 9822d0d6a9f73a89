"""Structures of real networks come out in the form that lets their layers be quantized and fused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.seeds import first_of
from torch import nn

from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, is_constant, op_name
from tvm_vsq.network import layer_names


class TwoBranches(nn.Module):
    """Two convolutions of one input, concatenated, as in Inception and DenseNet."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(9, 2, 1)

    def forward(self, x):
        return self.c(torch.cat([torch.relu(self.a(x)), self.b(x)], 1))


class SqueezeExcite(nn.Module):
    """A gate computed from the mean of each channel."""

    def __init__(self):
        super().__init__()
        self.a, self.gate, self.b = nn.Conv2d(3, 4, 1), nn.Linear(4, 4), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        y = self.a(x)
        return self.b(y * torch.sigmoid(self.gate(y.mean((2, 3))))[:, :, None, None])


class ScaledResidual(nn.Module):
    """The residual of the input in its own layout, behind a learned factor per channel (LayerScale)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.bn = nn.BatchNorm2d(3)
        self.scale = nn.Parameter(torch.tensor([0.5, -2.0, 1.0]).reshape(3, 1, 1))

    def forward(self, x):
        return torch.relu(x + self.scale * self.bn(self.conv(x)) * 3)


class Upsampled(nn.Module):
    """Transposed convolution, resize, adaptive pool and flatten around a convolution."""

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 4, 2, 2)
        self.conv = nn.Conv2d(4, 4, 3, padding="same")
        self.fc = nn.Linear(16, 3)

    def forward(self, x):
        y = nn.functional.interpolate(nn.functional.leaky_relu(self.conv(self.up(x))), scale_factor=2.0)
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(y, 2), 1))


class Positions(nn.Module):
    """One layer applied to the input and to a constant."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(5, 16))
        self.project, self.head = nn.Linear(16, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(torch.relu(self.project(self.table) + self.project(x)))


class OffsetAlongWidth(nn.Module):
    """A constant as wide as there are channels, but along another axis: no bias, and no factor either."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 1)
        self.bn = nn.BatchNorm2d(6)
        self.offset = nn.Parameter(torch.randn(6))

    def forward(self, x):
        return self.bn((self.conv(x) + self.offset) * self.offset)


CASES = {
    TwoBranches: (2, 3, 6, 6),
    SqueezeExcite: (2, 3, 6, 6),
    ScaledResidual: (2, 3, 6, 6),
    Upsampled: (2, 3, 6, 6),
    Positions: (2, 5, 16),
    OffsetAlongWidth: (1, 3, 6, 6),
}


def imported(networks, network):
    networks.INPUTS.update(CASES)
    model, x = networks.build(network)
    return model, import_model(model, (x,)), x


def ops(module):
    return [op_name(b.value).removeprefix("relax.") for b in bindings(module["main"]) if op_name(b.value)]


@pytest.mark.parametrize("network", first_of(CASES, 3))
def test_the_network_computes_what_torch_computes(networks, network):
    model, module, x = imported(networks, network)
    np.testing.assert_allclose(
        networks.run_tvm(module, x)[0], networks.run_torch(model, x)[0], rtol=1e-4, atol=1e-4
    )


def test_layers_that_read_one_tensor_share_its_layout_change(networks):
    _, module, _ = imported(networks, TwoBranches)
    assert ops(module).count("permute_dims") == 2  # the input and the result


def test_a_gate_is_moved_by_a_view_instead_of_what_it_gates(networks):
    _, module, _ = imported(networks, SqueezeExcite)
    shapes = [
        tuple(map(int, b.value.args[0].ty.shape))
        for b in bindings(module["main"])
        if "permute" in op_name(b.value)
    ]
    assert shapes == [(2, 3, 6, 6), (2, 6, 6, 2)]


def test_factors_per_channel_are_folded_and_the_input_is_a_residual_in_nhwc(networks):
    _, module, _ = imported(networks, ScaledResidual)
    assert ops(module) == ["permute_dims", "nn.conv2d", "add", "add", "nn.relu", "permute_dims"]


def test_a_layer_on_constants_is_folded_and_the_other_keeps_the_name(networks):
    _, module, _ = imported(networks, Positions)
    assert list(layer_names(module).values()) == ["project", "head"]


def test_torchs_attention_becomes_named_linear_layers(networks):
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

        def forward(self, x):
            return self.layer(x)

    networks.INPUTS[Encoder] = (2, 5, 16)
    model, x = networks.build(Encoder)
    module = import_model(model, (x,))
    np.testing.assert_allclose(
        networks.run_tvm(module, x)[0], networks.run_torch(model, x)[0], rtol=1e-4, atol=1e-4
    )
    values = {b.var: b.value for b in bindings(module["main"])}
    linear = [
        name
        for var, name in layer_names(module).items()
        if op_name(values[var]) == "relax.matmul" and is_constant(values[var].args[1])
    ]
    assert linear == [
        "layer.self_attn.in_proj/slice 0",
        "layer.self_attn.in_proj/slice 1",
        "layer.self_attn.in_proj/slice 2",
        "layer.self_attn.out_proj",
        "layer.linear1",
        "layer.linear2",
    ]
