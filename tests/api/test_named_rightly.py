"""What is said of layers is said of the right ones: counts, what the CPU reads, what is padded."""

from __future__ import annotations

import re

import pytest
import torch
from tests.transformers_models import Encoder, batch
from torch import nn

import tvm_vsq
from tvm_vsq.errors import QuantizationError

UNFITTED = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    data = [batch(2, 12) for _ in range(2)]
    return tvm_vsq.compile(Encoder().eval(), quant=UNFITTED, example_inputs=data[0], calibration=data)


def test_a_layer_that_is_joined_with_another_counts(encoder):
    explanation = encoder.explain()
    layers = [row.layer for row in explanation if row.where == "accelerator" and row.layer]
    joined = [layer.name for layer in encoder.timing().layers]
    assert any(" + " in name for name in joined)
    assert sorted(part for name in joined for part in name.split(" + ")) == sorted(layers)
    assert f"On the accelerator: {len(layers)} layers" in explanation.totals


def test_an_embedding_says_what_it_is(encoder):
    (row,) = [row for row in encoder.explain() if row.op == "relax.take"]
    assert row.why == "looks up rows of a table (an embedding), which the host does"


def test_padding_that_fills_no_channels_says_what_it_fills(encoder):
    profile = encoder.timing()
    (value,) = [layer for layer in profile.layers if layer.name == "attention.value"]
    assert value.channels == value.padded_channels
    assert value.padding > 0
    note = re.sub(r"\s+", " ", str(profile))
    assert "go into zeros that fill up channels and vectors: " in note
    assert re.search(r"'attention\.value' \d+ \(rows or taps that fill no whole vector\)", note)
    assert "()" not in note


class Branches(nn.Module):
    """Two layers, whose results the CPU reads, behind one that both read."""

    def __init__(self):
        super().__init__()
        self.stem, self.left, self.right, self.last = (nn.Linear(32, 32) for _ in range(4))

    def forward(self, x):
        x = torch.relu(self.stem(x))
        return self.last(torch.sin(self.left(x)) * torch.cos(self.right(x)))


def test_operators_on_the_cpu_are_behind_the_layer_that_they_read():
    torch.manual_seed(0)
    options = {"example_inputs": torch.zeros(4, 32), "calibration": torch.randn(16, 32), "quant": UNFITTED}
    with pytest.raises(QuantizationError) as refused:
        tvm_vsq.compile(Branches().eval(), strict=True, **options)
    assert "relax.sin behind layer 'left'" in str(refused.value)
    assert "relax.cos behind layer 'right'" in str(refused.value)
    rows = tvm_vsq.compile(Branches().eval(), **options).explain()
    casts = {row.why for row in rows if row.op == "relax.astype" and "int32 result" in row.why}
    assert {
        f"the int32 result of layer '{name}' leaves the accelerator and becomes fp32"
        for name in ("left", "right")
    } <= casts
