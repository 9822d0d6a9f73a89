"""The sum of two tensors with different coarse scales, outside of any convolution's epilogue."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.ops.layers import Epilogue, check, module_of, random_hardware, random_vectors
from tests.seeds import seeds
from torch import nn

import tvm_vsq
from tvm_vsq.errors import ConfigError
from tvm_vsq.ops.add.reference import add_accumulate
from tvm_vsq.ops.add.relax import add


@pytest.mark.parametrize("seed", seeds(30))
def test_numpy_tensorir_torch_and_simulator_agree(seed):
    rng = np.random.default_rng(seed)
    hw = random_hardware(rng)
    channels = int(rng.integers(1, 3 * hw.vector_size))
    leading = tuple(rng.integers(1, 6, 3 if rng.integers(3) else int(rng.integers(1, 3))).tolist())
    epilogue = Epilogue.draw(rng, hw, channels)
    x, other = (
        random_vectors(rng, hw, bool(epilogue.attributes[sign]), *leading, channels=channels)
        for sign in ("act_signed", "res_signed")
    )
    expected = epilogue.apply(hw, add_accumulate(x, channels), other)
    attributes = {"channels": channels, **epilogue.attributes}
    module = module_of(lambda x, p, r: add(x, p, r, **attributes), [x, other], epilogue.params)
    check(module, [x, other], hw, expected)


class Sums(nn.Module):
    """A sum of which both operands are read elsewhere too, so that no epilogue can take it."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 20, 3, padding=1), nn.Conv2d(20, 20, 3, padding=1)
        self.c, self.d = nn.Conv2d(20, 20, 3, padding=1), nn.Conv2d(20, 20, 1)

    def forward(self, x):
        a = torch.relu(self.a(x))
        b = self.b(a)
        return self.d(torch.relu(a + b)) + self.c(b)


@pytest.mark.large
@pytest.mark.parametrize("target", ["vsq-accel", "vsq-accel-w4a8", "vsq-accel-int8"])
def test_a_sum_between_layers_runs_on_the_chip(target):
    torch.manual_seed(0)
    model, x = Sums().eval(), torch.randn(8, 3, 9, 9)
    exe = tvm_vsq.compile(model, target, example_inputs=x, calibration=x)
    (row,) = [row for row in exe.explain() if row.op == "vsq.add"]
    assert (row.layer, row.where) == ("add_0", "accelerator")
    assert "adds a residual" in row.why
    np.testing.assert_array_equal(exe(x), exe.reference(x))
    expected = model(x).detach().numpy()
    assert np.square(exe(x) - expected).sum() < 0.1 * np.square(expected).sum()


def test_a_sum_that_a_convolution_takes_along_is_no_layer_that_a_rule_could_name(networks):
    model, x = networks.build(networks.ResNet)
    quant = tvm_vsq.QuantConfig.parse("4/4/4/4", rules=(tvm_vsq.Rule(layers="add_0", fp32=True),))
    with pytest.raises(ConfigError, match=r"matches no layer; the model's are conv1, .*conv2, layer2\.conv1"):
        tvm_vsq.compile(model, example_inputs=x, calibration=x, quant=quant)
