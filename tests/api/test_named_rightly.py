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


class Norms(nn.Module):
    """Sums that are normalized, of layers and what was normalized before."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(4))
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(3))

    def forward(self, x):
        first, *others = self.layers
        x = first(x)
        for layer, norm in zip(others, self.norms, strict=True):
            x = norm(x + layer(torch.relu(x)))
        return x


@pytest.mark.parametrize("residuals", ["wide", "vectors"])
def test_a_norm_that_a_rule_leaves_in_fp32_keeps_its_name_and_so_do_the_others(residuals):
    torch.manual_seed(0)
    x = torch.randn(64, 32)
    rules = (tvm_vsq.Rule(layers="layer_norm_1", fp32=True),)
    config = UNFITTED.model_copy(update={"rules": rules, "residuals": residuals})
    given = {"quant": config, "example_inputs": (x,), "calibration": [(x,)]}
    network = Norms().eval()
    exe = tvm_vsq.compile(network, **given)
    assert torch.equal(exe(x), exe.reference(x))
    explanation = exe.explain()
    on_cpu = [(row.op, row.layer, row.why) for row in explanation if row.where == "cpu" and row.layer]
    norm = ("relax.nn.layer_norm", "layer_norm_1", "left in fp32 by a rule")
    assert norm in on_cpu
    # one that norms of both kinds read is computed on the CPU, too; else a layer with weights adds it
    sums = [("add_1", "goes with layer 'layer_norm_1', which runs on the CPU")] if residuals == "wide" else []
    assert [(layer, why) for op, layer, why in on_cpu if op == "relax.add"] == sums
    on_chip = {row.layer for row in explanation if row.where == "accelerator"}
    assert {"layer_norm_0", "layer_norm_2"} <= on_chip
    assert "layer_norm_1" not in on_chip
    with pytest.raises(QuantizationError, match=r"of layer 'layer_norm_1': left in fp32 by a rule;"):
        tvm_vsq.compile(network, strict=True, **given)


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
