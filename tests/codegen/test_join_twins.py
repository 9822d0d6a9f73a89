"""Norms of the same rows, one stored as vectors and one as numbers of 32 bits, are one layer."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.seeds import one_of
from torch import nn

import tvm_vsq
from tvm_vsq.codegen import region
from tvm_vsq.codegen.join_twins import join_twins
from tvm_vsq.hardware import HardwareConfig, load_hardware

CHANNELS = 40
TWINS = ("layer_norm_0 + layer_norm_0/sum", "layer_norm_1 + layer_norm_1/sum")


class Blocks(nn.Module):
    """x = norm(x + f(x)), as encoders have it: a layer reads what is added to its result."""

    def __init__(self, channels=CHANNELS):
        super().__init__()
        self.first = nn.Linear(channels, channels)
        self.layers = nn.ModuleList(nn.Linear(channels, channels) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))
        for norm in self.norms:
            nn.init.normal_(norm.weight, 1.0, 0.2)
            nn.init.normal_(norm.bias, 0.0, 0.2)

    def forward(self, x):
        x = self.norms[0](self.first(x))
        for norm, layer in zip(self.norms[1:], self.layers, strict=True):
            x = norm(x + layer(x))
        return x


def in_passes():
    fields = load_hardware("vsq-accel").model_dump() | {"precision_passes": 2, "accumulator_bits": 40}
    return HardwareConfig.checked(fields, "test")


@pytest.fixture(scope="module", params=["4/4/4/4", "8/8/-/-"])  # the latter's vectors are two records
def network(request):
    torch.manual_seed(0)
    x = torch.randn(2, 5, CHANNELS)
    config = tvm_vsq.QuantConfig.parse(request.param, residuals="wide").unfitted()
    return tvm_vsq.fake_quantize(
        Blocks().eval(), quant=config, target=in_passes(), example_inputs=x, calibration=[x]
    )


def built(network, monkeypatch, *left_out):
    """The program, for which functions of `region` join no layers."""
    with monkeypatch.context() as patch:
        for name in left_out:
            patch.setattr(region, name, lambda layers, *_: list(layers))
        return tvm_vsq.compile(network, network.hardware, strict=True)


def layers_of(network, monkeypatch):
    """Those of the program before any are joined."""
    found = []
    with monkeypatch.context() as patch:
        patch.setattr(region, "join_twins", lambda layers: found.extend(layers) or list(layers))
        tvm_vsq.compile(network, network.hardware, strict=True)
    return {layer.name: layer for layer in found}


def names(exe):
    return [layer.name for layer in exe.timing().layers]


def test_one_layer_stores_what_two_would(network, monkeypatch):
    joined = built(network, monkeypatch, "join_rows")
    apart = built(network, monkeypatch, "join_twins", "join_rows")
    assert names(joined) == ["first", TWINS[0], "layers.0", TWINS[1], "layers.1", "layer_norm_2"]
    assert len(names(apart)) == len(names(joined)) + 2
    stores = re.findall(r"^STORE\.(\w+) .*# \d+ (.+)$", joined.disassemble(), re.MULTILINE)
    for twins in TWINS:
        assert {memory for memory, layer in stores if layer == twins} == {"out", "acc"}
    for x in torch.randn(3, 2, 5, CHANNELS):
        assert torch.equal(joined(x), apart(x))
        assert torch.equal(joined(x), network(x))
    assert joined.timing().dram_bytes < apart.timing().dram_bytes
    assert joined.timing().cycles < apart.timing().cycles


def test_both_are_joined_with_what_makes_their_rows(network, monkeypatch):
    whole, less = built(network, monkeypatch), built(network, monkeypatch, "join_rows")
    assert names(whole)[0] == f"first + {TWINS[0]}"
    for x in torch.randn(3, 2, 5, CHANNELS):
        assert torch.equal(whole(x), less(x))
    assert whole.timing().dram_bytes < less.timing().dram_bytes
    assert whole.timing().cycles < less.timing().cycles


def test_the_first_of_two_makes_the_results_of_both(network, monkeypatch):
    layers = layers_of(network, monkeypatch)
    vectors, wide = (layers[name] for name in TWINS[0].split(" + "))
    wide = replace(wide, post=replace(wide.post, relu=True))
    between = layers["layers.0"]
    for order in ([vectors, between, wide], [wide, between, vectors]):
        both, other = join_twins(order)
        assert other is between
        assert (both.result, both.beside) == (vectors.result, wide.result)
        assert (both.post.relu, both.post.beside_relu) == (False, True)
        assert both.constants["par"] is vectors.constants["par"]
        assert "par_beside" not in both.constants


def test_parameters_that_differ_are_kept_apart(network, monkeypatch):
    """Numbers and vectors have the same unit as a rule, and so the same parameters."""
    layers = layers_of(network, monkeypatch)
    vectors, wide = (layers[name] for name in TWINS[0].split(" + "))
    assert np.array_equal(vectors.constants["par"], wide.constants["par"])
    (shared,) = join_twins([vectors, wide])
    others = np.array(wide.constants["par"])
    others.flat[0] ^= 1
    (apart,) = join_twins([vectors, replace(wide, constants={**wide.constants, "par": others})])
    assert "par_beside" not in shared.constants
    assert np.array_equal(apart.constants["par_beside"], others)
    for both, names in ((shared, {"par"}), (apart, {"par", "par_beside"})):
        nest = both.workload.nest(network.hardware)
        assert {each.name for each in nest.operands if each.name.startswith("par")} == names


@pytest.mark.parametrize(("channels", "par_kib"), one_of([(CHANNELS, 8), (256, 4), (256, 8)]))
def test_coarse_units_are_not_shared(channels, par_kib, monkeypatch):
    """Without guard bits, the unit of vectors would be that of their finest elements. Twice 16 groups of
    parameters beside a table come by halves, if there are 23 entries.
    """
    torch.manual_seed(0)
    x = torch.randn(2, 5, channels)
    fields = in_passes().model_dump() | {"guard_bits": 0}
    fields["scratchpads"] |= {"par_kib": par_kib}
    target = HardwareConfig.checked(fields, "test")
    config = tvm_vsq.QuantConfig.parse("4/4/4/4", residuals="wide").unfitted()
    network = tvm_vsq.fake_quantize(
        Blocks(channels).eval(), quant=config, target=target, example_inputs=x, calibration=[x]
    )
    layers = layers_of(network, monkeypatch)
    vectors, wide = (layers[name] for name in TWINS[0].split(" + "))
    (both,) = join_twins([vectors, wide])
    par = both.workload.nest(target).operand["par"]
    assert (channels // 16 > 2 * par.streamed > 0) == (par_kib < 8)
    assert not np.array_equal(vectors.constants["par"], wide.constants["par"])
    assert torch.equal(tvm_vsq.compile(network, target, strict=True)(x), network(x))


def test_layers_that_make_something_else_are_no_twins(network, monkeypatch):
    layers = layers_of(network, monkeypatch)
    vectors, wide = (layers[name] for name in TWINS[0].split(" + "))
    table = np.array(wide.constants["tab0"])
    table.flat[0] += 1
    others = {
        "table": replace(wide, constants={**wide.constants, "tab0": table}),
        "program": replace(wide, post=replace(wide.post, rows=replace(wide.post.rows, epsilon=1))),
        "input": replace(wide, inputs={"inp": vectors.result}),
        "shape": replace(wide, workload=replace(wide.workload, w=wide.workload.w + 1)),
        "operator": layers["layers.1"],
        "vectors": vectors,
    }
    assert len(join_twins([vectors, wide])) == 1
    for name, other in others.items():
        assert join_twins([vectors, other]) == [vectors, other], name
    assert join_twins([wide, wide]) == [wide, wide]
