"""Rounding by reconstruction: in the format, a smaller error of the output, and the paper's update."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import dequantize, quantize_weights
from tvm_vsq.quantize.weights import factor
from tvm_vsq.quantize.weights.reconstruct import reconstruct
from tvm_vsq.quantize.weights.search import search_weights
from tvm_vsq.quantize.weights.second import Second


def correlated(rng: np.random.Generator, columns: int, rows: int = 400) -> np.ndarray:
    """The second moment of inputs that a few common causes drive, as activations are."""
    causes = rng.standard_normal((rows, max(columns // 4, 1)))
    x = causes @ rng.standard_normal((causes.shape[1], columns)) + 0.3 * rng.standard_normal((rows, columns))
    return x.T @ x / rows


def as_second(matrix: np.ndarray) -> Second:
    return Second(torch.from_numpy(matrix.astype(np.float32)))


def damped(second: np.ndarray) -> np.ndarray:
    return second + np.eye(len(second)) * 0.01 * np.trace(second) / len(second)


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
    vectors = reconstruct(w, as_second(second), gamma, nearest[..., -1] if is_given_scales else None, fmt)
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
    given_scales = output_error(
        w, reconstruct(w, as_second(second), gamma, nearest[..., -1], fmt), gamma, second
    ).sum()
    own_scales = output_error(w, reconstruct(w, as_second(second), gamma, None, fmt), gamma, second).sum()
    assert given_scales < error / 2
    assert own_scales < error / 2


@pytest.mark.parametrize("scale_bits", [None, 3])
def test_uncorrelated_inputs_leave_the_nearest_rounding(scale_bits):
    rng = np.random.default_rng(6)
    w, fmt = rng.laplace(size=(5, 40)), VectorFormat(3, scale_bits, 8)
    second = np.diag(rng.uniform(0.5, 2, 40))
    nearest, gamma = quantize_weights(w, fmt)
    assert np.array_equal(reconstruct(w, as_second(second), gamma, nearest[..., -1], fmt), nearest)
    # Then the best scale of each vector is the search's, too, if only one coarse scale is on offer.
    found, found_gamma = search_weights(w, fmt, as_second(damped(second)))
    chosen = reconstruct(w, as_second(second), found_gamma, None, fmt)
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
    vectors = reconstruct(w, as_second(second), gamma, nearest[..., -1], fmt)
    assert np.array_equal(vectors[..., :-1].reshape(4, -1)[:, :12], expected)


def test_fewer_rows_than_columns_and_inputs_that_are_always_zero():
    rng = np.random.default_rng(8)
    w, fmt = rng.laplace(size=(4, 32)), VectorFormat(4, 4, 16)
    second = correlated(rng, 32, rows=9)
    second[5], second[:, 5] = 0, 0
    nearest, gamma = quantize_weights(w, fmt)
    vectors = reconstruct(w, as_second(second), gamma, None, fmt)
    assert output_error(w, vectors, gamma, second).sum() < output_error(w, nearest, gamma, second).sum()
    assert np.abs(vectors[..., :-1]).max() <= fmt.qmax


@pytest.mark.parametrize("shape", [(6, 60), (4, 3, 2, 9)])
@pytest.mark.parametrize("scale_bits", [None, 4])
@pytest.mark.parametrize("fewest", [8, 24, 256])
def test_from_few_rows_as_from_their_matrix(monkeypatch, shape, scale_bits, fewest):
    monkeypatch.setattr(factor, "_FEWEST_COLUMNS", fewest)
    rng = np.random.default_rng(9)
    w, fmt, columns = rng.laplace(size=shape), VectorFormat(4, scale_bits, 8), int(np.prod(shape[1:]))
    rows = (rng.standard_normal((5, columns)) + 0.5).astype(np.float32)
    _, gamma = quantize_weights(w, fmt)
    by_matrix = reconstruct(w, as_second(rows.T @ rows), gamma, None, fmt)
    assert np.array_equal(
        reconstruct(w, Second(torch.from_numpy(rows), of_rows=True), gamma, None, fmt), by_matrix
    )


def test_many_columns_with_large_common_values():
    """As behind a ReLU: the second moment is near singular, and float32 has to do."""
    rng = np.random.default_rng(10)
    w, fmt = rng.laplace(size=(4, 1024)), VectorFormat(4, 4, 16)
    x = (10 + rng.standard_normal((2000, 1024))).astype(np.float32)
    nearest, gamma = quantize_weights(w, fmt)
    vectors = reconstruct(w, as_second(x.T @ x / 2000), gamma, None, fmt)
    error, plain = (output_error(w, q, gamma, x.T.astype(float) @ x / 2000).sum() for q in (vectors, nearest))
    assert error < plain / 10


def by_the_paper(w: np.ndarray, second: np.ndarray, gamma: np.ndarray, fmt: VectorFormat) -> np.ndarray:
    """GPTQ with the factor of the inverse, one channel and one candidate of a scale after the other."""
    upper = np.linalg.cholesky(np.linalg.inv(damped(second))).T
    found = np.zeros((len(w), w.shape[1] // fmt.vector_size, fmt.vector_size + 1), int)
    for channel, weights in enumerate(w):
        free = weights.copy()
        for vector in range(found.shape[1]):
            start = vector * fmt.vector_size
            lanes = slice(start, start + fmt.vector_size)
            top = np.ceil(np.abs(free[lanes]).max() / (fmt.qmax * float(gamma[channel])))
            best, least = free, np.inf
            for scale in np.maximum(np.clip(top, 1, fmt.smax) - np.arange(4), 1):
                trial, step, added = free.copy(), scale * float(gamma[channel]), 0.0
                elements = []
                for lane in range(start, lanes.stop):
                    elements.append(np.clip(np.rint(trial[lane] / step), -fmt.qmax, fmt.qmax))
                    error = (trial[lane] - elements[-1] * step) / upper[lane, lane]
                    trial[lane:] -= error * upper[lane, lane:]
                    added += error**2
                if added < least:
                    best, least, found[channel, vector] = trial, added, [*elements, scale]
            free = best
    return found


@pytest.mark.parametrize("scale_bits", [3, 6])
def test_scales_and_elements_are_those_of_the_paper(scale_bits):
    rng = np.random.default_rng(11)
    w, fmt = rng.laplace(size=(30, 48)), VectorFormat(4, scale_bits, 8)
    second = correlated(rng, 48)
    gamma = 0.8 * quantize_weights(w, fmt)[1]
    expected = by_the_paper(w, second, gamma, fmt)
    assert np.array_equal(reconstruct(w, as_second(second), gamma, None, fmt), expected)
