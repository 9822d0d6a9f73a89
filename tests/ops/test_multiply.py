"""The product of two tensors, the second of which may have one value for all of an image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.ops.layers import Epilogue, check, module_of, random_hardware, random_vectors
from tests.seeds import one_of, seeds
from torch import nn
from torch.nn import functional as F

import tvm_vsq
from tvm_vsq.layers.weightless import product_rounding
from tvm_vsq.ops.multiply.reference import multiply_accumulate
from tvm_vsq.ops.multiply.relax import multiply
from tvm_vsq.relax_ops.checks import OperatorError


@pytest.mark.parametrize("seed", seeds(40))
def test_numpy_tensorir_torch_and_simulator_agree(seed):
    rng = np.random.default_rng(seed)
    hw = random_hardware(rng)
    channels = int(rng.integers(1, 3 * hw.vector_size))
    leading = rng.integers(1, 6, 3 if rng.integers(3) else int(rng.integers(1, 3))).tolist()
    repeated = [1 if rng.integers(2) else extent for extent in leading] if rng.integers(4) else leading
    signs = rng.integers(2, size=2).tolist()
    x, other = (
        random_vectors(rng, hw, bool(signed), *extents, channels=channels)
        for signed, extents in zip(signs, (leading, repeated), strict=True)
    )
    formats = [hw.formats.activation.with_sign(bool(signed)) for signed in signs]
    rounding = product_rounding(*formats, hw) + int(rng.integers(3))
    acc = multiply_accumulate(x, other, channels, rounding)
    epilogue = Epilogue.draw(rng, hw, channels, max(1, int(np.abs(acc).max())), act_signed=signs[0])
    inputs, residual = [x, other], None
    if rng.integers(2):
        signed = bool(epilogue.attributes["res_signed"])
        residual = random_vectors(rng, hw, signed, *leading, channels=channels)
        inputs.append(residual)
    expected = epilogue.apply(hw, acc, residual)
    attributes = {
        "channels": channels,
        "rounding": rounding,
        "other_signed": signs[1],
        **epilogue.attributes,
    }
    module = module_of(lambda x, p, s, *r: multiply(x, s, p, *r, **attributes), inputs, epilogue.params)
    check(module, inputs, hw, expected)


def test_a_half_is_rounded_up_whatever_its_sign():
    x = np.zeros((1, 1, 9), np.int16)
    other = np.zeros((1, 1, 9), np.int16)
    x[..., :4], x[..., -1] = [1, -1, 3, -3], 3
    other[..., :4], other[..., -1] = [2, 2, 2, -2], 1
    acc = multiply_accumulate(x, other, 4, 2)
    np.testing.assert_array_equal(acc, [[2, -1, 5, 5]])  # of 6 / 4, -6 / 4, 18 / 4 and 18 / 4


class SqueezeExcite(nn.Module):
    """An image times a factor for each of its channels, as either operand, then a product of two images."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 20, 3, padding=1), nn.Conv2d(20, 20, 1)
        self.down, self.up, self.last = nn.Conv2d(20, 8, 1), nn.Conv2d(8, 20, 1), nn.Conv2d(20, 5, 1)

    def forward(self, x):
        a = torch.relu(self.a(x))
        factor = torch.relu(self.up(torch.relu(self.down(F.adaptive_avg_pool2d(a, 1)))))
        squeezed = factor * a
        return self.last(torch.relu(self.b(squeezed) * squeezed))


def compiled(target="vsq-accel"):
    torch.manual_seed(0)
    model, x = SqueezeExcite().eval(), torch.randn(16, 3, 9, 9)
    options = {"example_inputs": x[:2], "calibration": x, "quant": QUANT[target]}
    return model, x[:2], options, tvm_vsq.compile(model, target, **options)


QUANT = {
    "vsq-accel": tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted(),
    "vsq-accel-w4a8": tvm_vsq.QuantConfig.parse("4/8/6/10").unfitted(),
    "vsq-accel-int8": tvm_vsq.QuantConfig.parse("8/8/-/-").unfitted(),
}


@pytest.mark.parametrize("target", ["vsq-accel-w4a8", *one_of(["vsq-accel", "vsq-accel-int8"])])
def test_products_between_layers_run_on_the_chip(target):
    model, x, _, exe = compiled(target)
    products = [(row.layer, row.where) for row in exe.explain() if row.op == "vsq.multiply"]
    assert products == [("multiply_0", "accelerator"), ("multiply_1", "accelerator")]
    np.testing.assert_array_equal(exe(x), exe.reference(x))
    expected = model(x).detach().numpy()
    bound = {"vsq-accel": 0.1, "vsq-accel-w4a8": 0.02, "vsq-accel-int8": 0.02}[target]
    assert np.square(exe(x) - expected).sum() < bound * np.square(expected).sum()


def test_the_torch_module_computes_the_same_bits():
    model, x, options, exe = compiled()
    network = tvm_vsq.fake_quantize(model, quant=options.pop("quant"), **options).eval()
    np.testing.assert_array_equal(network(x).detach().numpy(), exe(x))


def test_a_profile_counts_products_and_reads_a_factor_once_for_each_image():
    _, x, _, exe = compiled()
    layers = {layer.name: layer for layer in exe.profile(x).layers}
    squeezed, images = layers["multiply_0"], layers["multiply_1"]
    for layer in (squeezed, images):
        assert layer.events["product_lane_ops"] == 2 * 81 * 32
        assert layer.events["unpack_lane_ops"] == layer.events["vector_lane_ops"] == 2 * 2 * 81 * 32
        assert layer.energy["product_lane_ops"] > 0
    # Two vectors of 9 bytes for each pixel of x and of the result, and for each image of the factor.
    assert squeezed.minimum_dram_bytes + 2 * 80 * 2 * 9 == images.minimum_dram_bytes
    assert "VEC op=mul src=inp" in exe.disassemble()


def test_operands_that_do_not_fit_are_refused():
    rng = np.random.default_rng(0)
    hw = random_hardware(rng)
    epilogue = Epilogue.draw(rng, hw, 8)
    x = random_vectors(rng, hw, True, 2, 4, 4, channels=8)
    for extents in ((1, 2, 4), (4, 4)):
        other = random_vectors(rng, hw, True, *extents, channels=8)
        attributes = {"channels": 8, **epilogue.attributes}
        with pytest.raises(OperatorError, match=r"layer 'layer' \(vsq.multiply\): other"):
            module_of(lambda x, p, s, a=attributes: multiply(x, s, p, **a), [x, other], epilogue.params)
