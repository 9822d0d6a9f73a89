"""Pools and sums between layers, in what is done with a whole network."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from tests.seeds import one_of
from torch import nn

import tvm_vsq
from tvm_vsq.errors import VsqWarning

TARGET = "vsq-accel"


class PoolsAndSums(nn.Module):
    """Pools of a signed and of an unsigned tensor, and a sum of which both operands are read elsewhere."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 20, 3, padding=1), nn.Conv2d(20, 20, 3, padding=1)
        self.c, self.d = nn.Conv2d(20, 6, 3), nn.Conv2d(20, 6, 1)

    def forward(self, x):
        a = nn.functional.max_pool2d(self.a(x), 2)
        b = nn.functional.max_pool2d(torch.relu(self.b(a)), 3, 1, 1)
        return self.d(torch.relu(a + b)) + nn.functional.pad(self.c(b), (1, 1, 1, 1))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    model, x = PoolsAndSums().eval(), torch.randn(4, 3, 12, 12)
    return tvm_vsq.quantize_model(model, TARGET, example_inputs=x[:1], calibration=x), x[:1].numpy()


LAYERS = ["a", "add_0", "b", "c", "d", "max_pool2d_0", "max_pool2d_1"]


def layers(exe):
    return sorted(row.layer for row in exe.explain() if row.where == "accelerator")


def test_they_are_layers(network):
    exe = tvm_vsq.compile(network[0], TARGET)
    assert layers(exe) == LAYERS
    np.testing.assert_array_equal(exe(network[1]), exe.reference(network[1]))


@pytest.mark.large
def test_onnx_computes_the_same_and_comes_back_as_the_same_layers(networks, network):
    module, x = network
    model = tvm_vsq.export_onnx(module)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (value,) = session.run(None, {session.get_inputs()[0].name: x})
    (expected,) = networks.run_tvm(module, x)
    assert np.abs(value - expected).max() <= 1e-5 * np.abs(expected).max()
    with pytest.warns(VsqWarning, match="calibrated anew"):  # of what weights do not read
        back = tvm_vsq.compile(model, TARGET, calibration=[x])
    assert layers(back) == LAYERS
    assert networks.sqnr_db(expected, back(x)) > 15


@pytest.mark.large
def test_tuning_covers_them(network):
    module, x = network
    database = tvm_vsq.tune(module, TARGET, trials=3, progress=False)
    kinds = {record.workload.split("-")[0] for record in database.records}
    assert {"max", "add"} <= kinds
    tuned, plain = (tvm_vsq.compile(module, TARGET, schedules=s) for s in (database, "default"))
    np.testing.assert_array_equal(tuned(x), plain(x))
    assert tuned.timing().cycles <= plain.timing().cycles


def test_an_artifact_holds_them(network, tmp_path):
    module, x = network
    exe = tvm_vsq.compile(module, TARGET)
    exe.save(tmp_path / "net.so")
    np.testing.assert_array_equal(tvm_vsq.load(tmp_path / "net.so")(x), exe(x))


class ReadTwice(nn.Module):
    """A result that a convolution reads, and what reads it besides."""

    def __init__(self, other):
        super().__init__()
        self.a, self.b, self.other = nn.Conv2d(3, 20, 3, padding=1), nn.Conv2d(20, 20, 1), other

    def forward(self, x):
        a = self.a(x)
        return self.other(a), self.b(a)


@pytest.mark.parametrize(
    ("other", "name"),
    one_of([(nn.MaxPool2d(2), "max_pool2d_0"), (lambda a: a + a, "add_0")]),
    ids=["pool", "sum"],
)
def test_a_rule_keeps_a_layer_on_the_cpu_whose_operand_is_stored_as_vectors(other, name):
    torch.manual_seed(0)
    model, x = ReadTwice(other).eval(), torch.randn(4, 3, 8, 8)
    quant = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()
    options = {"example_inputs": x[:1], "calibration": x}
    placed = {}
    for rules in ((), (tvm_vsq.Rule(layers=name, fp32=True),)):
        config = quant.model_copy(update={"rules": rules})
        exe = tvm_vsq.compile(model, quant=config, **options)
        placed[rules] = next((row.where, row.why) for row in exe.explain() if row.layer == name)
        network = tvm_vsq.fake_quantize(model, quant=config, **options).eval()
        for found, expected, same in zip(exe(x[:1]), exe.reference(x[:1]), network(x[:1]), strict=True):
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(found, same.detach().numpy())
    (before, _), after = placed.values()
    assert before == "accelerator"
    assert after == ("cpu", "left in fp32 by a rule")
