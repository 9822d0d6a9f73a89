"""Filters of depthwise convolutions, fitted a channel each to the channel's own input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.seeds import seeds

from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import dequantize, quantize_weights
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.quantize.weights.taps import fit_taps


def draw(seed):
    """Kernels float32 [K, R, S], the inputs of each channel, correlated as pixels are, and a format."""
    rng = np.random.default_rng(seed)
    channels, rows, columns = int(rng.integers(2, 9)), int(rng.integers(1, 6)), int(rng.integers(1, 12))
    w = rng.laplace(size=(channels, rows, columns)).astype(np.float32)
    x = rng.normal(size=(channels, 64, rows * columns)) + rng.normal(size=(channels, 64, 1))
    scale_bits = None if seed % 4 == 0 else int(rng.integers(1, 7))
    return w, torch.from_numpy(x), VectorFormat(int(rng.integers(2, 7)), scale_bits, 8)


def config(calibration, rounding):
    settings = {"weight_calibration": calibration, "weight_rounding": rounding}
    return QuantConfig.parse("4/4/4/4").base.model_copy(update=settings)


def errors(w, x, vectors, gamma):
    """Of each channel's output, squared."""
    lost = (dequantize(vectors, gamma, w.shape[-1]) - w).reshape(len(w), -1)
    return np.square(np.einsum("knd,kd->kn", x.numpy(), lost)).sum(1)


def second(x):
    return (x.mT @ x / x.shape[1]).float()


@pytest.mark.parametrize("seed", seeds(12))
def test_no_tap_alone_could_be_rounded_better(seed):
    w, x, fmt = draw(seed)
    vectors, gamma = fit_taps(w, second(x), fmt, config("output", "gptq"))
    assert vectors.shape == (*w.shape[:2], fmt.vectors(w.shape[-1]), 9)
    assert np.abs(vectors[..., :-1]).max() <= fmt.qmax
    assert vectors[..., -1].min() >= 1
    assert vectors[..., -1].max() <= fmt.smax
    # the fit's H has a hundredth of its mean on the diagonal
    h = second(x).double().numpy()
    damping = 0.01 * np.einsum("kdd->k", h) / h.shape[-1]
    h = h + damping[:, None, None] * np.eye(h.shape[-1])

    def cost(changed):
        lost = (dequantize(changed, gamma, w.shape[-1]).astype(np.float64) - w).reshape(len(w), -1)
        return np.einsum("kd,kde,ke->k", lost, h, lost)

    best = cost(vectors)
    for row in range(w.shape[1]):
        for column in range(w.shape[2]):
            for step in (-1, 1):
                other = vectors.copy()
                place = other[:, row, column // 8, column % 8]
                place[:] = np.clip(place + step, fmt.lo, fmt.qmax)
                assert (cost(other) >= best * (1 - 1e-5)).all()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("calibration", ["max", "mse", "output"])
def test_fitting_pays(seed, calibration):
    w, x, fmt = draw(seed)
    plain = errors(w, x, *quantize_weights(w, fmt))
    fitted = errors(w, x, *fit_taps(w, second(x), fmt, config(calibration, "gptq")))
    assert fitted.sum() <= plain.sum() * 1.02  # what the damping may cost
    if w[0].size > 4:
        assert fitted.sum() < plain.sum()


def test_unfitted_filters_are_those_of_the_largest_scales():
    w, x, fmt = draw(1)
    vectors, gamma = fit_taps(w, second(x), fmt, config("max", "nearest"))
    expected, scales = quantize_weights(w, fmt)
    np.testing.assert_array_equal(gamma, scales)
    np.testing.assert_array_equal(vectors, expected)


def test_a_channel_of_zeros_or_without_input_is_quantized_all_the_same():
    w, x, fmt = draw(2)
    w[0], x[1] = 0, 0
    vectors, gamma = fit_taps(w, second(x), fmt, config("output", "gptq"))
    assert not vectors[0, ..., :-1].any()
    assert (gamma > 0).all()
    assert np.abs(dequantize(vectors, gamma, w.shape[-1])[1] - w[1]).max() < np.abs(w[1]).max()
