"""Moments of layer inputs: against loops over output positions, and what is refused."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from torch import nn

import tvm_vsq
from tvm_vsq.errors import CalibrationError, VsqWarning
from tvm_vsq.formats import VectorFormat
from tvm_vsq.network import Window
from tvm_vsq.numerics import dequantize, quantize_activations
from tvm_vsq.quantize.activations.encodings import Encoding
from tvm_vsq.quantize.weights import moments as moments_module
from tvm_vsq.quantize.weights.moments import Moments, MomentSums

ENCODING = Encoding(VectorFormat(4, 3, 8), limit=2.5)
GUARD_BITS = 4


def quantized(x: np.ndarray, encoding: Encoding = ENCODING) -> np.ndarray:
    gamma = np.float32(encoding.limit / (encoding.format.qmax * encoding.format.smax))
    scales = encoding.static_scales(float(gamma)) or None
    return dequantize(quantize_activations(x, encoding.format, gamma, GUARD_BITS, scales), gamma, x.shape[-1])


def second_of(moments: Moments, group: int = 0) -> np.ndarray:
    """In the units of x."""
    return moments.second[group].matrix().numpy() * ENCODING.limit**2


def by_loop(x: np.ndarray, window: Window) -> list[np.ndarray]:
    """For each group the taps [rows, D] of every output position; outside the image they are 0."""
    (down, across), (tall, wide) = window.strides, window.dilation
    top, left, bottom, right = window.padding
    height = (x.shape[1] + top + bottom - (window.kernel[0] - 1) * tall - 1) // down + 1
    width = (x.shape[2] + left + right - (window.kernel[1] - 1) * wide - 1) // across + 1
    size = x.shape[3] // window.groups
    found = []
    for group in range(window.groups):
        rows = []
        for image in x[..., group * size : (group + 1) * size]:
            for oh in range(height):
                for ow in range(width):
                    row = []
                    for r in range(window.kernel[0]):
                        for s in range(window.kernel[1]):
                            h, w = oh * down + r * tall - top, ow * across + s * wide - left
                            inside = 0 <= h < x.shape[1] and 0 <= w < x.shape[2]
                            row.extend(image[h, w] if inside else np.zeros(size))
                    rows.append(row)
        found.append(np.array(rows))
    return found


@pytest.mark.parametrize(
    "window",
    [
        Window((1, 1), [1, 1], [0, 0, 0, 0], [1, 1], 1),
        Window((3, 2), [2, 1], [1, 0, 2, 1], [1, 2], 1),
        Window((3, 3), [1, 1], [1, 1, 1, 1], [1, 1], 6),
        Window((2, 1), [1, 1], [0, 0, 0, 0], [1, 1], 3),
    ],
    ids=["1x1", "strides, padding, dilation", "depthwise", "groups"],
)
def test_a_convolutions_moments_are_those_of_a_loop_over_its_output(window, monkeypatch):
    x = np.random.default_rng(0).standard_normal((3, 7, 6, 6)).astype(np.float32)
    monkeypatch.setattr(moments_module, "_ROWS_PER_VALUE", 1000)  # all rows of the loop
    sums = MomentSums("conv", ENCODING, GUARD_BITS, math.prod(window.kernel) * 6 // window.groups, window)
    sums.add(x[:1])
    sums.add(x[1:])
    moments = sums.moments()
    for group, (taps, rounded) in enumerate(
        zip(by_loop(x, window), by_loop(quantized(x), window), strict=True)
    ):
        np.testing.assert_allclose(second_of(moments, group), rounded.T @ rounded / len(rounded), atol=1e-5)
        np.testing.assert_allclose(moments.mean_x[group], taps.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(moments.mean_y[group], rounded.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("peaks", [None, np.array([1.0, 2.5])], ids=["dynamic", "static"])
def test_a_matrix_products_moments(peaks):
    encoding = Encoding(ENCODING.format, ENCODING.limit, peaks)
    x = np.random.default_rng(1).standard_normal((4, 5, 11)).astype(np.float32)
    sums = MomentSums("dense", encoding, GUARD_BITS, 11, None)
    sums.add(x)
    moments, rounded = sums.moments(), quantized(x.reshape(20, 11), encoding)
    np.testing.assert_allclose(second_of(moments), rounded.T @ rounded / 20, atol=1e-5)
    np.testing.assert_allclose(moments.mean_y[0], rounded.mean(axis=0), atol=1e-6)


def test_second_moments_of_groups_are_about_their_means_where_the_bias_is_corrected():
    x = np.random.default_rng(3).standard_normal((2, 5, 5, 6)).astype(np.float32) + 1
    window = Window((2, 2), [1, 1], [0] * 4, [1, 1], 6)
    plain, centred = (MomentSums("conv", ENCODING, GUARD_BITS, 4, window, each) for each in (False, True))
    for sums in (plain, centred):
        sums.add(x)
    for group, mean in enumerate(plain.moments().mean_y):
        expected = second_of(plain.moments(), group) - np.outer(mean, mean)
        np.testing.assert_allclose(second_of(centred.moments(), group), expected, atol=1e-5)


def test_of_large_images_a_sample_is_drawn():
    x = np.random.default_rng(2).standard_normal((2, 40, 40, 3)).astype(np.float32)
    sums = MomentSums("conv", ENCODING, GUARD_BITS, 3, Window((1, 1), [1, 1], [0] * 4, [1, 1], 1))
    sums.add(x)
    rounded = quantized(x.reshape(-1, 3))
    assert sums.rows == 512
    np.testing.assert_allclose(second_of(sums.moments()), rounded.T @ rounded / len(rounded), atol=0.2)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((15, 4)), "layer 'dense' has 15 rows of calibration data, and fitting .* takes 16"),
    ],
)
def test_data_that_say_too_little(x, message):
    sums = MomentSums("dense", ENCODING, GUARD_BITS, 4, None)
    sums.add(x.astype(np.float32))
    with pytest.raises(CalibrationError, match=message):
        sums.moments()


def test_compile_names_the_layer_with_too_few_samples(networks):
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.classify = nn.Linear(4, 5)

        def forward(self, x):
            return self.classify(self.conv(x).mean((2, 3)))

    networks.INPUTS[Pooled] = (2, 3, 8, 8)
    model, x = networks.build(Pooled)
    with pytest.warns(VsqWarning, match="layer 'classify' has 8 rows"):
        tvm_vsq.compile(
            model,
            "vsq-accel",
            quant=tvm_vsq.QuantConfig.parse("4/4/4/4", weight_rounding="gptq"),
            calibration=networks.samples(Pooled, 8),
            example_inputs=(x,),
        )


@pytest.mark.parametrize("scale", [1e-25, 1e20])
def test_values_whose_squares_leave_float32_still_count(scale):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 4)).astype(np.float32)
    moments = []
    for factor in (1.0, scale):
        encoding = dataclasses.replace(ENCODING, limit=ENCODING.limit * factor)
        sums = MomentSums("dense", encoding, GUARD_BITS, 4, None)
        sums.add(x * np.float32(factor))
        moments.append(second_of(sums.moments()))
    np.testing.assert_allclose(moments[1], moments[0], rtol=0.02, atol=0.01)
