"""The report of a quantized network against formulas written out here."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tests.quantizing import quantize
from torch import nn

import tvm_vsq
from tvm_vsq.errors import InputError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.frontend import import_model
from tvm_vsq.hardware import load_hardware
from tvm_vsq.numerics import dequantize, quantize_activations, quantize_weights
from tvm_vsq.quantize import QuantConfig, Rule
from tvm_vsq.quantize.quantizer import prepare, quantize_prepared
from tvm_vsq.study.measure import Ratio, measure
from tvm_vsq.study.plot import figure_of

HARDWARE = load_hardware("vsq-accel")


def report_of(networks, network, config, data=None):
    model, x = networks.build(network)
    module = import_model(model, (x,))
    calibration = networks.samples(network)
    config = config.unfitted()
    module = prepare(module, config, HARDWARE, calibration)
    quantized = quantize_prepared(module, config, config.hardware(HARDWARE), calibration)
    return measure(module, quantized, data or calibration)


def test_one_layer_by_hand():
    torch.manual_seed(0)
    layer = nn.Linear(40, 6)
    rng = np.random.default_rng(0)
    calibration = rng.normal(size=(32, 40)).astype(np.float32)
    data = 3 * rng.normal(size=(8, 40)).astype(np.float32)
    module = import_model(layer, (torch.zeros(8, 40),))
    config = QuantConfig.parse("4/3/4/2").unfitted()
    (found,) = measure(module, quantize(module, config, config.hardware(HARDWARE), calibration), data).layers

    weights = layer.weight.detach().numpy()
    vectors, gamma = quantize_weights(weights, VectorFormat(4, 4, 16))
    restored = vectors[..., :-1].astype(float) * vectors[..., -1:]
    restored = (restored.reshape(6, -1)[:, :40]) * gamma[:, None]
    assert found.weights.sqnr_db == pytest.approx(db(weights, restored))
    assert found.weights.bits_per_element == pytest.approx(3 * (16 * 4 + 4) / 40 + 32 / 40)
    codes = vectors[..., :-1].reshape(6, -1)[:, :40]
    assert found.weights.codes == [int((codes == code).sum()) for code in range(-7, 8)]
    assert found.weights.lowest_code == -7

    fmt = VectorFormat(3, 2, 16)
    step = np.float32(np.abs(calibration).max() / (3 * 3))
    quantized = quantize_activations(data, fmt, step, HARDWARE.guard_bits)
    x = dequantize(quantized, step, 40)
    assert found.activations.sqnr_db == pytest.approx(db(data, x))
    assert found.activations.bits_per_element == pytest.approx(3 * (16 * 3 + 2) / 40)
    worth = np.repeat(quantized[..., -1], 16, axis=-1)[:, :40] * float(step)
    clipped = np.abs(data) > 3.5 * worth
    assert clipped.any()
    assert found.activations.clipped == pytest.approx(clipped.mean())
    exact = data @ weights.T + layer.bias.detach().numpy()
    approximate = x @ restored.T + layer.bias.detach().numpy()
    assert found.output_sqnr_db == pytest.approx(db(exact, approximate), abs=0.01)
    assert found.padding == pytest.approx(8 / 48)
    assert (found.name, found.formats, found.vector_size) == ("weight", "4/3/4/2", 16)


def db(reference, value):
    return 10 * np.log10(
        np.square(reference, dtype=float).sum() / np.square(reference - value, dtype=float).sum()
    )


def test_the_report_has_a_row_for_each_layer_and_a_reason_for_the_others(networks):
    layers = ["expand", "depthwise", "project"]
    found = report_of(networks, networks.DepthwiseNet, QuantConfig.parse("4/4/4/4"))
    assert [layer.name for layer in found.layers] == layers
    assert not found.fp32
    ruled = QuantConfig.parse("4/4/4/4", rules=(Rule(layers="expand", fp32=True),))
    assert report_of(networks, networks.DepthwiseNet, ruled).fp32 == {"expand": "left in fp32 by a rule"}
    text = str(found)
    assert all(word in text for word in (*layers, "dB over 8 runs"))


def test_a_depthwise_layer_that_a_rule_quantizes_has_a_row(networks):
    config = QuantConfig.parse("4/4/4/4", rules=(Rule(layers=":depthwise", formats="8/8/-/-"),))
    found = report_of(networks, networks.DepthwiseNet, config)
    assert [(layer.name, layer.formats) for layer in found.layers][1] == ("depthwise", "8/8/-/-")


@pytest.mark.large
def test_wider_formats_have_higher_ratios(networks):
    narrow, wide = (
        report_of(networks, networks.ResNet, QuantConfig.parse(n).unfitted()) for n in ("3/3/4/4", "8/8/6/6")
    )
    assert wide.output_sqnr_db > narrow.output_sqnr_db + 15
    for a, b in zip(narrow.layers, wide.layers, strict=True):
        if a.weights is not None:  # the pool has none
            assert b.weights.sqnr_db > a.weights.sqnr_db + 15
        assert b.activations.sqnr_db > a.activations.sqnr_db


def test_it_goes_to_json_and_to_a_plot(networks, tmp_path):
    found = report_of(networks, networks.Mlp, QuantConfig.parse("4/4/4/4"))
    fields = json.loads(found.to_json())
    assert fields["layers"][0]["weights"]["sqnr_db"] == found.layers[0].weights.sqnr_db
    for name in ("r.png", "r.svg"):
        found.plot(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
    with pytest.raises(InputError, match="cannot write"):
        found.plot(tmp_path / "missing" / "r.png")
    with pytest.raises(InputError, match="cannot write"):
        found.plot(tmp_path / "r.docx")


def test_a_plot_has_each_layer_at_one_place_in_all_its_panels(networks):
    found = report_of(networks, networks.Mlp, QuantConfig.parse("4/4/4/4"))
    ratio, bits, clipping, codes = figure_of(found).axes[:4]
    assert len({panel.get_xlim() for panel in (ratio, bits, clipping, codes)}) == 1
    assert [label.get_text() for label in codes.get_xticklabels()] == list(found.layer_names)
    assert list(codes.get_xticks()) == list(range(len(found.layers)))
    for panel, names in ((ratio, ["weights", "input", "output"]), (bits, ["weights", "input"])):
        assert [text.get_text() for text in panel.get_legend().get_texts()] == names
    outputs = next(line for line in ratio.lines if line.get_label() == "output")
    assert list(outputs.get_ydata()) == [layer.output_sqnr_db for layer in found.layers]
    centres = [bar.get_x() + bar.get_width() / 2 for bar in bits.patches]
    assert sorted(round(x) for x in centres) == sorted([*range(len(found.layers))] * 2)
    assert [bar.get_height() for bar in bits.containers[1]] == [
        layer.activations.bits_per_element for layer in found.layers
    ]
    shares = np.asarray(codes.images[0].get_array())
    assert shares.sum(axis=0).tolist() == pytest.approx([100] * len(found.layers))


def test_ratios_at_their_ends():
    exact, wrong = Ratio(), Ratio()
    exact.add(np.ones(3, np.float32), np.ones(3, np.float32))
    wrong.add(np.zeros(3, np.float32), np.ones(3, np.float32))
    assert (exact.db, wrong.db) == (float("inf"), float("-inf"))


def test_a_product_of_activations_without_a_rule_is_not_left_by_one():
    class Turned(torch.nn.Module):
        """A product whose operands no layer stores as vectors: they are computed on the CPU."""

        def __init__(self):
            super().__init__()
            self.query, self.key, self.out = (torch.nn.Linear(32, 32) for _ in range(3))

        def forward(self, x):
            return self.out(
                torch.sin(self.query(x)) @ torch.cos(self.key(x)).transpose(1, 2).expand(-1, 32, -1)
            )

    x = torch.randn(2, 32, 32)
    report = tvm_vsq.quantization_report(
        Turned().eval(), example_inputs=x, calibration=torch.randn(8, 32, 32)
    )
    (why,) = report.fp32.values()
    assert why.startswith("not between layers on the accelerator, where it would read vectors")
