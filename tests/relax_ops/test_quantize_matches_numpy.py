"""vsq.quantize and vsq.dequantize, run on the CPU, equal the NumPy reference bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from tvm_vsq import relax_ops as vsq
from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import (
    dequantize,
    inverse_step,
    quantize_activations,
    quantize_weights,
)


def awkward_values(rng: np.random.Generator, shape: list[int], gamma: np.float32, guard: int) -> np.ndarray:
    """Normal values, exact half steps of both signs, zeros, denormals, infinities and NaN."""
    step = np.float32(gamma) / np.float32(2**guard)
    halves = (rng.integers(-2000, 2000, shape) + 0.5).astype(np.float32) * step
    special = rng.choice(np.array([0, -0.0, 1e-42, 3e38, -3e38, np.inf, -np.inf, np.nan], np.float32), shape)
    values = rng.normal(size=shape).astype(np.float32)
    kind = rng.integers(0, 20, shape)
    return np.where(kind == 0, special, np.where(kind < 6, halves, values)).astype(np.float32)


@pytest.mark.parametrize("seed", range(20))
def test_quantize_equals_the_reference(run, seed):
    rng = np.random.default_rng(seed)
    fmt = VectorFormat(
        int(rng.integers(2, 9)),
        int(rng.integers(0, 11)),
        int(rng.choice([8, 16, 32, 64])),
        bool(rng.integers(2)),
    )
    guard = int(rng.integers(0, 9))
    gamma = np.float32(2.0 ** rng.uniform(-12, 0) if seed % 2 else 2.0**-7)
    shape = [*rng.integers(1, 5, int(rng.integers(0, 4))).tolist(), int(rng.integers(1, 140))]
    x = awkward_values(rng, shape, gamma, guard)
    scales = rng.integers(1, fmt.smax + 1, fmt.vectors(shape[-1])).tolist() if seed % 3 == 0 else None

    def build(tensor):
        return vsq.quantize(
            tensor,
            scales=scales or (),
            bits=fmt.bits,
            scale_bits=fmt.scale_bits or 0,
            vector_size=fmt.vector_size,
            signed=int(fmt.signed),
            guard_bits=guard,
            inv=float(inverse_step(gamma, guard)),
        )

    result = run(build, x)
    assert result.dtype == np.int16
    assert np.array_equal(result, quantize_activations(x, fmt, gamma, guard, scales))


def test_rounding_of_fp32_is_rint_for_every_kind_of_float(run):
    # with one 8-bit element per step and no scale, the elements show the rounded value itself
    rng = np.random.default_rng(0)
    halves = np.arange(-130, 130, 0.5, dtype=np.float32)
    near = np.nextafter(halves, rng.choice(np.array([-1e9, 1e9], np.float32), halves.shape))
    x = np.concatenate([halves, near, rng.uniform(-130, 130, 4000).astype(np.float32)])
    x = x[: len(x) // 8 * 8].reshape(-1, 8)
    result = run(
        lambda t: vsq.quantize(t, bits=8, scale_bits=0, vector_size=8, signed=1, guard_bits=0, inv=1.0), x
    )
    assert np.array_equal(result[:, 0, :8], np.clip(np.rint(x), -127, 127))


@pytest.mark.parametrize("seed", range(6))
def test_dequantize_of_activations_equals_the_reference(run, seed):
    rng = np.random.default_rng(seed)
    fmt = VectorFormat(8, 10, int(rng.choice([8, 16, 32, 64])), bool(rng.integers(2)))
    channels = int(rng.integers(1, 140))
    x = rng.normal(size=[*rng.integers(1, 5, seed % 3).tolist(), channels]).astype(np.float32)
    gamma = np.float32(rng.uniform(1e-6, 1e-3))
    vectors = quantize_activations(x, fmt, gamma, 2)
    result = run(lambda v, g: vsq.dequantize(v, g, channels=channels), vectors, np.asarray(gamma))
    assert np.array_equal(result, dequantize(vectors, gamma, channels))


@pytest.mark.parametrize("shape", [(5, 3, 2, 20), (7, 33)])
def test_dequantize_of_weights_applies_gamma_per_output_channel(run, shape):
    w = np.random.default_rng(0).normal(size=shape)
    vectors, gamma = quantize_weights(w, VectorFormat(6, 6, 16))
    result = run(lambda v, g: vsq.dequantize(v, g, channels=shape[-1]), vectors, gamma)
    assert np.array_equal(result, dequantize(vectors, gamma, shape[-1]))
