"""Encoders whole on the chip: in any format, for any length, batch and mask, the same bits as everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.seeds import first_of, one_of
from tests.transformers_models import Encoder, batch
from torch import nn

import tvm_vsq

TARGETS = {"8/8/-/-": "vsq-accel-int8", "4/4/4/4": "vsq-accel", "4/8/6/10": "vsq-accel-w4a8"}
LEAST_DB = {"8/8/-/-": 30, "4/4/4/4": 13, "4/8/6/10": 25}


def first(results):
    return results[0] if isinstance(results, tuple) else results


@pytest.mark.parametrize(
    ("formats", "kind", "rows", "length"),
    [
        ("4/4/4/4", "eager", 2, 17),
        pytest.param("4/8/6/10", "sdpa", 3, 5, marks=pytest.mark.large),
        ("8/8/-/-", "sdpa", 1, 1),
        pytest.param("4/4/4/4", "sdpa", 1, 24, marks=pytest.mark.large),
        pytest.param("4/8/6/10", "eager", 2, 19, marks=pytest.mark.large),
        pytest.param("8/8/-/-", "eager", 3, 17, marks=pytest.mark.large),
    ],
)
def test_an_encoder_is_whole_on_the_chip(networks, formats, kind, rows, length):
    torch.manual_seed(0)
    model, given = Encoder(kind).eval(), batch(rows, length)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name and name.endswith("weight"):
                parameter.uniform_(0.5, 1.5)
                parameter[3] *= -1  # a negative weight of a norm
    data = [batch(rows, length) for _ in range(8)]
    network = tvm_vsq.fake_quantize(
        model, quant=formats, target=TARGETS[formats], example_inputs=given, calibration=data
    )
    exe = tvm_vsq.compile(network, network.hardware, strict=True)
    masks = [given["attention_mask"], torch.ones_like(given["attention_mask"])]
    masks.append(torch.zeros_like(masks[0]))  # rows that are masked as a whole
    masks.append((torch.rand(rows, length) < 0.5).long())
    for mask in masks:
        inputs = {**given, "attention_mask": mask}
        result = first(exe(**inputs))
        with torch.no_grad():
            assert torch.equal(result, first(network(**inputs)))
            expected = first(model(**inputs))
        assert np.array_equal(result.numpy(), first(exe.reference(**inputs)).numpy())
        assert networks.sqnr_db(expected.numpy(), result.numpy()) > LEAST_DB[formats]
    assert 0 < exe.timing().utilization < 1


@pytest.mark.large
def test_scores_that_stay_on_the_chip_give_the_same_as_scores_in_dram(monkeypatch):
    torch.manual_seed(0)
    model, given = Encoder("eager").eval(), batch(2, 24)
    network = tvm_vsq.fake_quantize(
        model, quant="4/4/4/4", example_inputs=given, calibration=[batch(2, 24)] * 2
    )
    joined = tvm_vsq.compile(network, network.hardware, strict=True)
    monkeypatch.setattr("tvm_vsq.codegen.region.join_rows", lambda layers, _results, _hardware: list(layers))
    apart = tvm_vsq.compile(network, network.hardware, strict=True)
    assert torch.equal(first(joined(**given)), first(apart(**given)))
    assert joined.timing().dram_bytes < apart.timing().dram_bytes
    assert any(" + " in layer.name for layer in joined.timing().layers)


class Wrapped(nn.Module):
    """torch's own encoder layer, of sequences first or not, with a mask of padding or without."""

    def __init__(self, batch_first, heads=4):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(64, heads, 96, batch_first=batch_first)
        self.layers = nn.TransformerEncoder(self.layer, 2, enable_nested_tensor=False)

    def forward(self, x, hidden=None):
        return self.layers(x, src_key_padding_mask=hidden)


@pytest.mark.parametrize(
    ("formats", "batch_first", "rows", "length", "masked"),
    [
        ("4/4/4/4", True, 2, 17, False),
        pytest.param("4/8/6/10", False, 2, 5, True, marks=pytest.mark.large),
        pytest.param("8/8/-/-", False, 3, 12, False, marks=pytest.mark.large),
        pytest.param("8/8/-/-", True, 2, 9, True, marks=pytest.mark.large),
        pytest.param("4/4/4/4", False, 1, 7, False, marks=pytest.mark.large),
        pytest.param("4/8/6/10", True, 4, 1, False, marks=pytest.mark.large),
    ],
)
def test_torchs_encoder_layers_are_whole_on_the_chip(networks, formats, batch_first, rows, length, masked):
    torch.manual_seed(0)
    model = Wrapped(batch_first).eval()

    def sample():
        x = torch.randn(*((rows, length) if batch_first else (length, rows)), 64)
        hidden = torch.arange(length)[None] >= torch.randint(1, length + 1, (rows, 1))
        return {"x": x, "hidden": hidden} if masked else {"x": x}

    data = [sample() for _ in range(8)]
    network = tvm_vsq.fake_quantize(
        model, quant=formats, target=TARGETS[formats], example_inputs=data[0], calibration=data
    )
    exe = tvm_vsq.compile(network, network.hardware, strict=True)
    for inputs in (sample(), sample()):
        result = exe(**inputs)
        with torch.no_grad():
            assert torch.equal(result, network(**inputs))
            expected = model(**inputs)
        assert np.array_equal(result.numpy(), exe.reference(**inputs).numpy())
        assert networks.sqnr_db(expected.numpy(), result.numpy()) > LEAST_DB[formats] - 4


class OneHead(nn.Module):
    """Attention with a single head and a mask for each pair of tokens, which is as large as the scores."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(32, 32) for _ in range(4))

    def forward(self, x, mask):
        q, k, v = (layer(x)[:, None] for layer in (self.query, self.key, self.value))
        return self.out((torch.softmax(q @ k.transpose(2, 3) / 5.6 + mask, -1) @ v)[:, 0])


@pytest.mark.parametrize("length", one_of([1, 8]))
def test_a_mask_as_large_as_the_scores_is_no_residual(networks, length):
    def sample():
        mask = torch.where(torch.rand(2, 1, length, length) < 0.3, -1e9, 0.0)
        return torch.randn(2, length, 32), mask

    model, data = OneHead().eval(), [sample() for _ in range(8)]
    network = tvm_vsq.fake_quantize(
        model, quant="8/8/-/-", target="vsq-accel-int8", example_inputs=data[0], calibration=data
    )
    exe, given = tvm_vsq.compile(network, network.hardware, strict=True), sample()
    with torch.no_grad():
        assert torch.equal(exe(*given), network(*given))
        assert networks.sqnr_db(model(*given).numpy(), exe(*given).numpy()) > 30
    assert any(row.op == "vsq.softmax" and "adds others" in row.why for row in exe.explain())


class Heads(nn.Module):
    """Attention right behind what gives a network its rows, in whatever axes."""

    def __init__(self, front, rows, length):
        super().__init__()
        self.front, self.shape = front, (rows, length)
        self.query, self.key, self.value, self.out = (nn.Linear(32, 32) for _ in range(4))

    def forward(self, x):
        y = self.front(x)
        q, k, v = (
            layer(y).view(*self.shape, 2, 16).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        y = (torch.softmax(q @ k.transpose(2, 3), -1) @ v).transpose(1, 2)
        return self.out(y.reshape(*self.shape, 32))


class SequencesFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.attention = nn.Embedding(50, 32), nn.MultiheadAttention(32, 2)

    def forward(self, ids):
        x = self.tokens(ids)
        return self.attention(x, x, x, need_weights=False)[0]


def embedded(*behind):
    return nn.Sequential(nn.Embedding(50, 32), *behind)


def torchs_layer():
    return nn.TransformerEncoderLayer(32, 2, 64, batch_first=True)


class T5(nn.Module):
    def __init__(self):
        super().__init__()
        stock = pytest.importorskip("transformers")
        config = stock.T5Config(vocab_size=50, d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2)
        self.encoder = stock.T5EncoderModel(config)

    def forward(self, ids):
        return self.encoder(input_ids=ids).last_hidden_state


ROWS = {
    "tokens": (lambda: Heads(embedded(), 2, 17), (2, 17)),
    "tokens of one sequence": (lambda: Heads(embedded(nn.LayerNorm(32)), 1, 16), (16,)),
    "sequences first": (SequencesFirst, (9, 3)),
    "torch": (lambda: embedded(torchs_layer()), (2, 9)),
    "T5": (T5, (2, 9)),
    "rows": (lambda: Heads(nn.Sequential(nn.Linear(32, 32), nn.ReLU()), 2, 8), (16, 32)),
    "pixels": (lambda: Heads(nn.Identity(), 2, 16), (2, 4, 4, 32)),
}
"""Networks, and shapes of what they read: of ids, or with 32 channels."""


@pytest.mark.parametrize("name", ROWS)
def test_attention_on_rows_in_whatever_axes_is_whole_on_the_chip(name):
    torch.manual_seed(0)
    make, shape = ROWS[name]
    model = make().eval()
    x = torch.randn(shape) if shape[-1] == 32 else torch.randint(0, 50, shape)
    config = tvm_vsq.QuantConfig.parse("8/8/-/-").unfitted()
    options = {"target": "vsq-accel-int8", "example_inputs": (x,), "calibration": [(x,)]}
    network = tvm_vsq.fake_quantize(model, quant=config, **options)
    exe = tvm_vsq.compile(network, network.hardware, strict=True)
    result = exe(x)
    with torch.no_grad():
        assert torch.equal(result, network(x))
    assert torch.equal(result, exe.reference(x))


class Torchs(nn.Module):
    """torch's own attention, of one sequence or of two of different lengths, with what it may give beside."""

    def __init__(self, width=32, weights=False, causal=False, **options):
        super().__init__()
        self.attention = nn.MultiheadAttention(32, 2, kdim=width, vdim=width, **options)
        self.norm, self.layer = nn.LayerNorm(32), nn.Linear(32, 32)
        self.weights, self.causal = weights, causal

    def forward(self, x, other=None):
        y = x if other is None else other
        mask = torch.ones(x.shape[0], y.shape[0]).triu(1).bool() if self.causal else None
        found, weights = self.attention(x, y, y, need_weights=self.weights, attn_mask=mask)
        x = self.layer(self.norm(x + found))
        return (x, weights) if self.weights else x


def torchs_decoder(**options):
    return nn.TransformerDecoderLayer(32, 2, 48, **options)


STOCK = {
    "weights of sequences first": (lambda: Torchs(weights=True, causal=True), [(9, 2, 32)]),
    "two sequences": (Torchs, [(9, 2, 32), (5, 2, 32)]),
    "no batch": (lambda: Torchs(weights=True, batch_first=True), [(9, 32)]),
    "norms first": (lambda: torchs_decoder(norm_first=True), [(9, 2, 32), (5, 2, 32)]),
    "keys of other channels": (lambda: Torchs(width=16), [(9, 2, 32), (5, 2, 16)]),
    "decoder": (lambda: torchs_decoder(batch_first=True), [(2, 9, 32), (2, 5, 32)]),
    "both": (lambda: nn.Transformer(32, 2, 1, 1, 48), [(9, 1, 32), (5, 1, 32)]),
}


@pytest.mark.parametrize("name", first_of(list(STOCK), 2))
def test_torchs_attention_is_whole_on_the_chip_however_it_is_called(networks, name):
    torch.manual_seed(0)
    make, shapes = STOCK[name]
    model, data = make().eval(), [tuple(torch.randn(shape) for shape in shapes) for _ in range(4)]
    options = {"target": "vsq-accel-w4a8", "example_inputs": data[0], "calibration": data}
    network = tvm_vsq.fake_quantize(model, quant=tvm_vsq.QuantConfig.parse("4/8/6/10"), **options)
    exe = tvm_vsq.compile(network, network.hardware, strict=True)
    result = first(exe(*data[1]))
    with torch.no_grad():
        assert torch.equal(result, first(network(*data[1])))
        assert networks.sqnr_db(first(model(*data[1])).numpy(), result.numpy()) > 20


class Turned(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(32, 32)

    def forward(self, x):
        return self.layer(x).transpose(1, 2)


@pytest.mark.parametrize("target", ["vsq-accel", "vsq-accel-int8"])
def test_a_transposed_result_that_leaves_the_chip_is_transposed_once(networks, target):
    """Vectors are stored transposed, numbers of 32 bits are not."""
    model, x = Turned().eval(), torch.randn(2, 16, 32)
    exe = tvm_vsq.compile(model, target, example_inputs=(x,), calibration=[(x,)] * 2, strict=True)
    assert torch.equal(exe(x), exe.reference(x))
    with torch.no_grad():
        assert networks.sqnr_db(model(x).numpy(), exe(x).numpy()) > 15


@pytest.mark.large
@pytest.mark.parametrize("rule", ["matmul*", "softmax*", "matmul_4"])
def test_what_attention_leaves_in_fp32_reads_what_layers_give(rule):
    model, given = Encoder("eager").eval(), batch(2, 9)
    config = tvm_vsq.QuantConfig.parse("4/4/4/4", rules=[tvm_vsq.Rule(layers=rule, fp32=True)]).unfitted()
    network = tvm_vsq.fake_quantize(model, quant=config, example_inputs=given, calibration=[batch(2, 9)] * 2)
    exe = tvm_vsq.compile(network, network.hardware)
    assert torch.equal(first(exe(**given)), first(exe.reference(**given)))
    with torch.no_grad():
        torch.testing.assert_close(first(exe(**given)), first(network(**given)))


def test_hidden_rows_that_torch_leaves_out_are_computed():
    """Of padding alone, nn.TransformerEncoder makes nested tensors, with zeros for what is hidden."""
    torch.manual_seed(0)

    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 2, 64, batch_first=True), 1)

        def forward(self, x, hidden):
            return self.encoder(x, src_key_padding_mask=hidden)

    model, x, hidden = Padded().eval(), torch.randn(2, 8, 32), torch.zeros(2, 8, dtype=torch.bool)
    hidden[0, 5:] = True
    with torch.no_grad():
        expected = model(x, hidden)
    assert not expected[hidden].any()
    options = {"example_inputs": (x, hidden), "calibration": [(x, hidden)]}
    exe = tvm_vsq.compile(model, "vsq-accel-int8", strict=True, **options)
    found = torch.as_tensor(np.array(exe(x, hidden)))
    shown = expected[~hidden]
    assert (found[~hidden] - shown).square().sum() < 1e-2 * shown.square().sum()
    assert torch.backends.mha.get_fastpath_enabled()
