"""Rounding by reconstruction: in the format, a smaller error of the output, and the paper's update."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import dequantize, quantize_weights
from tvm_vsq.quantize.weights.reconstruct import damped, reconstruct
from tvm_vsq.quantize.weights.search import search_weights


def correlated(rng: np.random.Generator, columns: int, rows: int = 400) -> np.ndarray:
    """The second moment of inputs that a few common causes drive, as activations are."""
    causes = rng.standard_normal((rows, max(columns // 4, 1)))
    x = causes @ rng.standard_normal((causes.shape[1], columns)) + 0.3 * rng.standard_normal((rows, columns))
    return x.T @ x / rows


def output_error(w: np.ndarray, vectors: np.ndarray, gamma: np.ndarray, second: np.ndarray) -> np.ndarray:
    errors = dequantize(vectors, gamma, w.shape[-1]).astype(float) - w
    return np.array([e @ second @ e for e in errors.reshape(len(w), -1)])


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 8),
    st.one_of(st.none(), st.integers(1, 10)),
    st.sampled_from([8, 16]),
    st.sampled_from([(3, 20), (2, 3, 1, 9)]),
    st.booleans(),
)
def test_the_result_is_in_the_format(seed, bits, scale_bits, size, shape, is_given_scales):
    rng = np.random.default_rng(seed)
    w, fmt = rng.laplace(size=shape), VectorFormat(bits, scale_bits, size)
    nearest, gamma = quantize_weights(w, fmt)
    second = correlated(rng, int(np.prod(shape[1:])))
    vectors = reconstruct(w, second, gamma, nearest[..., -1] if is_given_scales else None, fmt)
    assert (vectors.shape, vectors.dtype) == (nearest.shape, np.int16)
    assert np.abs(vectors[..., :-1]).max() <= fmt.qmax
    assert 1 <= vectors[..., -1].min() <= vectors[..., -1].max() <= fmt.smax
    padded = vectors[..., :-1].reshape(*shape[:-1], -1)[..., shape[-1] :]
    assert not padded.any()
    if is_given_scales:
        assert np.array_equal(vectors[..., -1], nearest[..., -1])


@pytest.mark.parametrize("scale_bits", [None, 4])
@pytest.mark.parametrize("shape", [(8, 64), (8, 3, 3, 12)])
def test_on_correlated_inputs_the_output_error_falls(scale_bits, shape):
    rng = np.random.default_rng(5)
    w, fmt = rng.laplace(size=shape), VectorFormat(4, scale_bits, 16)
    second = correlated(rng, int(np.prod(shape[1:])))
    nearest, gamma = quantize_weights(w, fmt)
    error = output_error(w, nearest, gamma, second).sum()
    given_scales = output_error(w, reconstruct(w, second, gamma, nearest[..., -1], fmt), gamma, second).sum()
    own_scales = output_error(w, reconstruct(w, second, gamma, None, fmt), gamma, second).sum()
    assert given_scales < error / 2
    assert own_scales < error / 2


@pytest.mark.parametrize("scale_bits", [None, 3])
def test_uncorrelated_inputs_leave_the_nearest_rounding(scale_bits):
    rng = np.random.default_rng(6)
    w, fmt = rng.laplace(size=(5, 40)), VectorFormat(3, scale_bits, 8)
    second = np.diag(rng.uniform(0.5, 2, 40))
    nearest, gamma = quantize_weights(w, fmt)
    assert np.array_equal(reconstruct(w, second, gamma, nearest[..., -1], fmt), nearest)
    # Then the best scale of each vector is the search's, too, if only one coarse scale is on offer.
    found, found_gamma = search_weights(w, fmt, damped(second))
    chosen = reconstruct(w, second, found_gamma, None, fmt)
    assert np.array_equal(chosen, found)


def test_each_column_updates_the_free_ones_as_in_optimal_brain_surgeon():
    """Column by column with the inverse of what is left, recomputed each time: GPTQ without its Cholesky."""
    rng = np.random.default_rng(7)
    w, fmt = rng.laplace(size=(4, 12)), VectorFormat(3, 4, 8)
    second = correlated(rng, 12)
    nearest, gamma = quantize_weights(w, fmt)
    hessian, free = damped(second), w.copy()
    expected = np.zeros((4, 12), int)
    for column in range(12):
        step = gamma.astype(float) * nearest[:, column // 8, -1]
        expected[:, column] = np.clip(np.rint(free[:, column] / step), -fmt.qmax, fmt.qmax)
        inverse = np.linalg.inv(hessian[column:, column:])
        error = (free[:, column] - expected[:, column] * step) / inverse[0, 0]
        free[:, column:] -= error[:, None] * inverse[0]
    vectors = reconstruct(w, second, gamma, nearest[..., -1], fmt)
    assert np.array_equal(vectors[..., :-1].reshape(4, -1)[:, :12], expected)


def test_fewer_rows_than_columns_and_inputs_that_are_always_zero():
    rng = np.random.default_rng(8)
    w, fmt = rng.laplace(size=(4, 32)), VectorFormat(4, 4, 16)
    second = correlated(rng, 32, rows=9)
    second[5], second[:, 5] = 0, 0
    nearest, gamma = quantize_weights(w, fmt)
    vectors = reconstruct(w, second, gamma, None, fmt)
    assert output_error(w, vectors, gamma, second).sum() < output_error(w, nearest, gamma, second).sum()
    assert np.abs(vectors[..., :-1]).max() <= fmt.qmax
