"""Streams of residuals that norms read are sums of 32-bit numbers; others stay as they are."""

from __future__ import annotations

import pytest
import torch
from tests.seeds import one_of
from torch import nn

import tvm_vsq
from tvm_vsq.errors import QuantizationError
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, op_name
from tvm_vsq.hardware import load_hardware
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.quantize.quantizer import prepare


class Blocks(nn.Module):
    """x + f(norm(x)), three times; `shown` is what else reads the stream between them."""

    def __init__(self, shown="nothing"):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(4))
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(3))
        self.head, self.shown = nn.Linear(32, 5), shown

    def forward(self, x):
        results = []
        for norm, layer in zip(self.norms[:3], self.layers, strict=True):
            x = x + layer(norm(x))
            if self.shown == "layer":
                results.append(self.head(x))
            elif self.shown == "result":
                results.append(x)
        result = self.head(self.norms[3](x))
        return (result, *results) if results else result


def prepared(model, formats="4/4/4/4", **settings):
    torch.manual_seed(0)
    x = torch.randn(2, 6, 32)
    config = QuantConfig.parse(formats, **settings).unfitted()
    module = import_model(model.eval(), (x,))
    return [
        op_name(binding.value)
        for binding in bindings(prepare(module, config, load_hardware("vsq-accel"), x.numpy())["main"])
    ]


@pytest.mark.parametrize("formats", ["4/4/4/4", "8/8/-/-"])
def test_a_stream_is_summed_in_32_bits(formats):
    found = prepared(Blocks(), formats)
    # the last sum is of one norm alone, which adds by itself
    assert (found.count("fp32.add_rows"), found.count("relax.add")) == (2, 1 + 4)  # and biases


def test_a_stream_of_vectors_that_norms_read_is_refused_by_what_keeps_it_wide():
    x, config = torch.randn(64, 6, 32), QuantConfig.parse("4/4/4/4", residuals="vectors").unfitted()
    why = (
        r"relax\.multiply, relax\.clip, relax\.round, relax\.astype behind layer 'layers\.0': rows are made "
        r'of 32-bit numbers, and these are vectors, .* QuantConfig\(residuals="vectors"\)'
    )
    with pytest.raises(QuantizationError, match=why):
        tvm_vsq.compile(
            Blocks().eval(), quant=config, example_inputs=(x[:1],), calibration=[(x,)], strict=True
        )


def test_a_stream_that_the_host_reads_is_one_too():
    assert prepared(Blocks("result")).count("fp32.add_rows") == 3


def test_a_stream_that_layers_read_is_vectors():
    assert prepared(Blocks("layer")).count("fp32.add_rows") == 0


def test_vectors_are_what_is_asked_for():
    assert prepared(Blocks(), residuals="vectors").count("fp32.add_rows") == 0


@torch.no_grad()
def test_it_is_whole_on_the_chip_and_nearer_to_fp32(networks):
    torch.manual_seed(0)
    model, x = Blocks().eval(), torch.randn(8, 6, 32)
    expected, db = model(x[:1]), []
    for residuals in ("vectors", "auto"):
        config = QuantConfig.parse("4/4/4/4", residuals=residuals)
        network = tvm_vsq.fake_quantize(model, quant=config, example_inputs=x[:1], calibration=x)
        db.append(networks.sqnr_db(expected.numpy(), network(x[:1]).numpy()))
    exe = tvm_vsq.compile(network, network.hardware, strict=True)
    assert torch.equal(exe(x[:1]), network(x[:1]))
    assert db[1] > db[0] + 1
    names = [layer.name for layer in exe.timing().layers]
    assert {"layers.0 + add_0", "layers.1 + add_1"} <= set(names)


class Open(nn.Module):
    """Blocks whose stream no norm ends; `given`: how the network gives it."""

    def __init__(self, given=lambda x: x):
        super().__init__()
        self.given = given
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(2))
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(2))

    def forward(self, x):
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + layer(norm(x))
        return self.given(x)


@pytest.mark.parametrize(
    "given",
    [
        lambda x: x,
        lambda x: x.transpose(0, 1),
        lambda x: (x.transpose(0, 1).reshape(12, 32), x),
    ],
)
def test_a_stream_that_is_the_result_is_one_to_its_end(given):
    assert prepared(Open(given)).count("fp32.add_rows") == 2


def test_a_stream_that_a_layer_reads_with_its_axes_exchanged_is_vectors_at_its_end():
    layer = nn.Linear(6, 3)
    assert prepared(Open(lambda x: layer(x.transpose(1, 2)))).count("fp32.add_rows") == 0


def test_a_last_sum_of_no_stream_is_one_of_vectors():
    class Once(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.layer = nn.Linear(32, 32), nn.Linear(32, 32)

        def forward(self, x):
            y = self.first(x)
            return y + self.layer(y)

    assert prepared(Once()).count("fp32.add_rows") == 0


@pytest.mark.parametrize("formats", one_of(["4/4/4/4", "8/8/-/-"]))
def test_an_encoder_whose_stream_is_the_result_is_whole_on_the_chip(networks, formats):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 2, 48, batch_first=True, norm_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    data = [(torch.randn(2, 7, 32),) for _ in range(8)]
    target = "vsq-accel" if formats == "4/4/4/4" else "vsq-accel-int8"
    network = tvm_vsq.fake_quantize(
        model, quant=formats, target=target, example_inputs=data[0], calibration=data
    )
    exe, given = tvm_vsq.compile(network, target, strict=True), torch.randn(2, 7, 32)
    with torch.no_grad():
        assert torch.equal(exe(given), network(given))
        assert networks.sqnr_db(model(given).numpy(), exe(given).numpy()) > 20
