"""What is added to a layer's results before rows are made of them is added where these are made."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.codegen.test_join_twins import Blocks, in_passes, names
from tests.seeds import one_of
from torch import nn

import tvm_vsq
from tvm_vsq.codegen import region
from tvm_vsq.codegen.join_sums import join_sums
from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import load_hardware
from tvm_vsq.schedule import default_knobs
from tvm_vsq.schedule.rows import Rows


class Stream(nn.Module):
    """x + f(norm(x)), twice, and a last norm, as decoders have it: sums are kept as 32-bit numbers."""

    def __init__(self, channels):
        super().__init__()
        self.first = nn.Linear(channels, channels)
        self.layers = nn.ModuleList(nn.Linear(channels, channels) for _ in range(2))
        self.norms = nn.ModuleList(nn.RMSNorm(channels, eps=1e-5) for _ in range(3))

    def forward(self, x):
        x = self.first(x)
        for norm, layer in zip(self.norms[:-1], self.layers, strict=True):
            x = x + layer(norm(x))
        return self.norms[-1](x)


@pytest.fixture(scope="module", params=["4/4/4/4", "8/8/-/-"])
def quant(request):
    return tvm_vsq.QuantConfig.parse(request.param, residuals="wide").unfitted()


def quantized(model, quant, target=None):
    torch.manual_seed(0)
    x = torch.randn(2, 40, model.first.in_features)
    return tvm_vsq.fake_quantize(
        model.eval(), quant=quant, target=target or in_passes(), example_inputs=x, calibration=[x]
    )


def built(network, monkeypatch, *left_out):
    """The program, for which functions of `region` join no layers."""
    with monkeypatch.context() as patch:
        for name in left_out:
            patch.setattr(region, name, lambda layers, *_: list(layers))
        return tvm_vsq.compile(network, network.hardware, strict=True)


def layers_of(network, monkeypatch):
    found = []
    with monkeypatch.context() as patch:
        patch.setattr(region, "join_sums", lambda layers, *_: found.extend(layers) or list(layers))
        patch.setattr(region, "join_rows", lambda layers, *_: list(layers))
        tvm_vsq.compile(network, network.hardware, strict=True)
    return found


@pytest.mark.parametrize("model", [Blocks, Stream])
def test_a_layer_adds_what_rows_would(model, quant, monkeypatch):
    network = quantized(model(256), quant)
    joined = built(network, monkeypatch, "join_rows")
    apart = built(network, monkeypatch, "join_rows", "join_sums")
    if model is Stream:  # a sum that is nothing else is loaded and stored once less
        assert [name for name in names(joined) if "+ add_" in name]
        assert joined.timing().dram_bytes < apart.timing().dram_bytes
    else:
        assert names(joined) == names(apart)
        adding = [layer.busy["vector"] > 0 for layer in joined.timing().layers if "layers" in layer.name]
        assert any(adding)
    for x in torch.randn(3, 2, 40, 256):
        assert torch.equal(joined(x), apart(x))
        assert torch.equal(joined(x), network(x))
    assert joined.timing().cycles < apart.timing().cycles


@pytest.mark.parametrize(("size", "lanes"), one_of([(32, 16), (16, 32), (16, 16)]))
def test_blocks_that_are_no_whole_group(size, lanes, monkeypatch):
    """40 channels are 3 blocks of 16 in groups of two, or 1.25 of 32; tiles have pieces of both."""
    fields = {"vector_size": size, "output_lanes": lanes, "accumulator_bits": 40}
    timing = {"ppu_pipeline_cycles": 12}
    hardware = load_hardware("vsq-accel").model_dump()
    hardware |= fields
    hardware["timing"] = {**hardware["timing"], **timing}
    target = tvm_vsq.HardwareConfig.checked(hardware, "test")
    network = quantized(Stream(40), tvm_vsq.QuantConfig.of_hardware(target).unfitted(), target)
    joined = built(network, monkeypatch, "join_rows")
    assert any("+ add_" in name for name in names(joined))
    for x in torch.randn(2, 2, 40, 40):
        assert torch.equal(joined(x), network(x))


def test_relu_of_the_sum_stays(monkeypatch):
    """The parameters and bounds of the sum hold for what the layer stores then."""
    network = quantized(Stream(40), tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted())
    layers = layers_of(network, monkeypatch)
    (at,) = [i for i, layer in enumerate(layers) if layer.name.startswith("add_")][:1]
    layers[at] = replace(layers[at], post=replace(layers[at].post, relu=True))
    joined = join_sums(layers, [layers[-1].result], network.hardware)
    (found,) = [layer for layer in joined if layer.result == layers[at].result]
    assert (found.post.relu, found.post.rows_relu) == (False, True)
    assert found.constants["par2"] is layers[at].constants["par"]


def test_what_others_read_is_added_by_none(monkeypatch):
    """Neither a result that another layer reads, too, nor one that the program returns."""
    network = quantized(Blocks(256), tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted())
    layers = layers_of(network, monkeypatch)
    maker = next(layer for layer in layers if layer.name == "layers.0")
    reader = next(layer for layer in layers if maker.result in layer.inputs.values())
    assert "other" in reader.inputs
    last = layers[-1].result

    def added(given, *results):
        return [
            layer.name
            for layer in join_sums(given, [last, *results], network.hardware)
            if "other" in layer.inputs and layer.macs
        ]

    assert "layers.0" in added(layers)
    assert "layers.0" not in added(layers, maker.result)
    again = replace(reader, name="again", result="another", beside=None)
    assert "layers.0" not in added([*layers, again])


class Around(nn.Module):
    """Sums of a sum with what is normalized of it, which norms and sums read."""

    def __init__(self, ending):
        super().__init__()
        self.first, self.second = nn.Linear(32, 32), nn.Linear(32, 32)
        self.norm, self.last = nn.LayerNorm(32), nn.LayerNorm(32)
        self.ending = ending

    def forward(self, x):
        x = self.first(x)
        return self.ending(self, x, x + self.second(self.norm(x)))


ENDINGS = {
    "norm(t) + t": lambda net, x, t: net.last(net.norm(t) + t),
    "t + x": lambda net, x, t: net.last(t + x),
    "several": lambda net, x, t: net.last(net.norm(t + x) + t) + t,
}


@pytest.mark.parametrize("ending", one_of(ENDINGS))
def test_units_of_sums_that_are_tied_in_a_circle(ending):
    network = quantized(Around(ENDINGS[ending]), tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted())
    exe = tvm_vsq.compile(network, network.hardware)
    for x in torch.randn(2, 2, 40, 32):
        assert torch.equal(exe(x), network(x))


def test_the_layer_to_leave_on_the_cpu_is_one_of_the_model():
    """What is joined has several names, of which rules know each."""
    rows = Rows(1, 1, 8, 4000, "norm", 4, 2, 1, other=None, wide=False)
    with pytest.raises(ScheduleError, match=r"layers='norm_1', fp32") as caught:
        default_knobs(rows, load_hardware("vsq-accel"), "dense + norm_1 + norm_1/sum")
    assert "layer 'dense + norm_1 + norm_1/sum'" in str(caught.value)
