"""Sums that are normalized take numbers of 32 bits, layer after layer of an encoder."""

from __future__ import annotations

import pytest
import torch
from tests.transformers_models import Attention, batch
from torch import nn
from torch.nn import functional as F

import tvm_vsq

LAYERS = 3


class Layer(nn.Module):
    """As BERT has it: what a norm gives is read by several layers, and added to what they make of it."""

    def __init__(self, width):
        super().__init__()
        self.attention = Attention(width, 2, "eager")
        self.up, self.down = nn.Linear(width, 48), nn.Linear(48, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, x, mask):
        x = self.norms[0](x + self.attention(x, mask))
        return self.norms[1](x + self.down(F.gelu(self.up(x))))


class Deep(nn.Module):
    """An encoder of several layers, of token ids and a mask of padding."""

    def __init__(self, width=32):
        super().__init__()
        self.tokens, self.places = nn.Embedding(50, width), nn.Embedding(32, width)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(Layer(width) for _ in range(LAYERS))

    def forward(self, input_ids, attention_mask):
        x = self.norm(self.tokens(input_ids) + self.places(torch.arange(input_ids.shape[1])[None]))
        for layer in self.layers:
            x = layer(x, attention_mask)
        return x


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return Deep().eval(), batch(2, 16), [batch(2, 16) for _ in range(4)]


def quantized(encoder, residuals):
    model, given, data = encoder
    config = tvm_vsq.QuantConfig.parse("4/4/4/4", residuals=residuals)
    return tvm_vsq.fake_quantize(model, quant=config, example_inputs=given, calibration=data)


@pytest.mark.large
@torch.no_grad()
def test_every_sum_of_an_encoder_is_wide_and_together_they_are_near_fp32(networks, encoder):
    model, given, _ = encoder
    network = quantized(encoder, "wide")
    exe = tvm_vsq.compile(network, network.hardware, strict=True)
    assert torch.equal(exe(**given), network(**given))
    names = " + ".join(layer.name for layer in exe.timing().layers).split(" + ")
    # all but the last norm are done for layers and for a sum, which adds what a layer with weights makes
    assert {name for name in names if "/sum" in name} == {f"layer_norm_{i}/sum" for i in range(2 * LAYERS)}
    fp32 = model(**given).numpy()
    wide, vectors = (
        networks.sqnr_db(fp32, each(**given).numpy()) for each in (network, quantized(encoder, "vectors"))
    )
    assert wide > 20
    assert wide > vectors + 8
