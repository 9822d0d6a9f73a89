"""Weight scales by squared error: never worse, in the format, and the best of all candidates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.seeds import one_of

import tvm_vsq
from tvm_vsq.errors import ConfigError, QuantizationError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.hardware import load_hardware
from tvm_vsq.numerics import dequantize, quantize_weights
from tvm_vsq.quantize.weights import lanes
from tvm_vsq.quantize.weights.search import search_gamma, search_weights
from tvm_vsq.quantize.weights.second import Second


def second(matrix: np.ndarray) -> Second:
    return Second(torch.from_numpy(matrix.astype(np.float32)))


def squared_error(w: np.ndarray, vectors: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """Of each output channel, from the definition of the format."""
    restored = (
        vectors[..., :-1].astype(float) * vectors[..., -1:] * gamma.reshape(-1, *[1] * (vectors.ndim - 1))
    )
    flat = restored.reshape(*restored.shape[:-2], -1)[..., : w.shape[-1]]
    return np.square(flat - w).reshape(len(w), -1).sum(axis=1)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 8),
    st.one_of(st.none(), st.integers(1, 10)),
    st.sampled_from([8, 16]),
    st.sampled_from([(3, 20), (2, 3, 1, 9)]),
)
def test_the_result_is_in_the_format_and_never_worse(seed, bits, scale_bits, size, shape):
    w = np.random.default_rng(seed).laplace(size=shape)
    fmt = VectorFormat(bits, scale_bits, size)
    vectors, gamma = search_weights(w, fmt)
    plain, plain_gamma = quantize_weights(w, fmt)
    assert (vectors.shape, vectors.dtype, gamma.dtype) == (plain.shape, np.int16, np.float32)
    assert np.abs(vectors[..., :-1]).max() <= fmt.qmax
    assert 1 <= vectors[..., -1].min() <= vectors[..., -1].max() <= fmt.smax
    assert (squared_error(w, vectors, gamma) <= squared_error(w, plain, plain_gamma) * (1 + 1e-5)).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.sampled_from([None, 2, 3]))
def test_no_candidate_is_better(seed, bits, scale_bits):
    w = np.random.default_rng(seed).laplace(size=(2, 16))
    fmt = VectorFormat(bits, scale_bits, 8)
    found = squared_error(w, *search_weights(w, fmt))
    for channel, row in enumerate(w):
        peak = np.abs(row).max()
        for k in range(9):
            gamma = float(np.float32(np.float32(peak / (fmt.qmax * fmt.smax)) * 2.0 ** (-k / 8)))
            total = 0.0
            for vector in row.reshape(2, 8):
                top = min(max(int(np.ceil(np.abs(vector).max() / (fmt.qmax * gamma))), 1), fmt.smax)
                errors = []
                for scale in range(max(1, top - 3), top + 1):
                    q = np.clip(np.rint(vector / (gamma * scale)), -fmt.qmax, fmt.qmax)
                    errors.append(float(np.square(q * scale * gamma - vector).sum()))
                total += min(errors)
            assert found[channel] <= total * (1 + 1e-5) + 1e-12


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 8),
    st.one_of(st.none(), st.integers(1, 10)),
    st.sampled_from([(3, 20), (2, 3, 1, 9)]),
)
def test_by_output_the_layers_error_is_never_worse(seed, bits, scale_bits, shape):
    rng = np.random.default_rng(seed)
    w, fmt = rng.laplace(size=shape), VectorFormat(bits, scale_bits, 8)
    x = rng.standard_normal((30, w[0].size)) @ rng.standard_normal((w[0].size, w[0].size))

    def output_errors(vectors, gamma):
        restored = dequantize(vectors, gamma, w.shape[-1]).astype(float)
        return np.square(x @ (restored - w).reshape(len(w), -1).T).mean(axis=0)

    vectors, gamma = search_weights(w, fmt, second(x.T @ x / 30))
    assert (output_errors(vectors, gamma) <= output_errors(*quantize_weights(w, fmt)) * (1 + 1e-5)).all()
    assert np.abs(vectors[..., :-1]).max() <= fmt.qmax
    assert 1 <= vectors[..., -1].min() <= vectors[..., -1].max() <= fmt.smax


@pytest.mark.parametrize("shape", [(3, 20), (2, 2, 1, 9)])
def test_by_output_with_equal_uncorrelated_inputs_is_by_weights(shape):
    w, fmt = np.random.default_rng(1).laplace(size=shape), VectorFormat(4, 4, 8)
    for found, expected in zip(
        search_weights(w, fmt, second(np.eye(w[0].size))), search_weights(w, fmt), strict=True
    ):
        assert np.array_equal(found, expected)


def test_an_input_that_matters_more_is_rounded_better():
    rng = np.random.default_rng(2)
    w, fmt = rng.laplace(size=(50, 8)), VectorFormat(3, None, 8)
    power = np.array([100.0, *[1.0] * 7])

    def error(vectors, gamma):
        return np.square(dequantize(vectors, gamma, 8) - w).mean(axis=0)

    by_weights, by_output = (
        error(*search_weights(w, fmt)),
        error(*search_weights(w, fmt, second(np.diag(power)))),
    )
    assert by_output[0] < 0.6 * by_weights[0]
    assert by_output @ power < by_weights @ power


@pytest.mark.parametrize("of_output", [False, True])
def test_without_vectors_the_coarse_scales_are_the_same(of_output):
    rng = np.random.default_rng(3)
    w, fmt, x = rng.laplace(size=(30, 2, 2, 9)), VectorFormat(4, 4, 8), rng.standard_normal((50, 36))
    moment = second(x.T @ x) if of_output else None
    assert np.array_equal(search_gamma(w, fmt, moment), search_weights(w, fmt, moment)[1])


def test_channels_do_not_depend_on_how_many_are_searched_at_once(monkeypatch):
    rng = np.random.default_rng(4)
    w, fmt, x = rng.laplace(size=(30, 20)), VectorFormat(4, 4, 8), rng.standard_normal((50, 20))
    whole = search_weights(w, fmt, second(x.T @ x))
    monkeypatch.setattr(lanes, "_VALUES_AT_ONCE", 7 * 20)
    for found, expected in zip(search_weights(w, fmt, second(x.T @ x)), whole, strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_weights_whose_squares_leave_float32(scale):
    w, fmt = np.random.default_rng(5).laplace(size=(8, 32)).astype(np.float32), VectorFormat(4, 4, 8)
    vectors, gamma = search_weights(w, fmt)
    found, found_gamma = search_weights(w * np.float32(scale), fmt)
    assert np.mean(found == vectors) > 0.98
    np.testing.assert_allclose(found_gamma / scale, gamma, rtol=0.2)


@pytest.mark.parametrize("scale", [1e-42, 1e-43, 1e-44, 3e-45])
def test_weights_that_are_hardly_numbers(scale):
    w = (np.random.default_rng(0).standard_normal((4, 3, 3, 20)) * scale).astype(np.float32)
    for fmt in (VectorFormat(4, 4, 16), VectorFormat(8, None, 16)):
        vectors, gamma = search_weights(w, fmt)
        plain = squared_error(w, *quantize_weights(w, fmt))
        assert vectors[..., -1].min() > 0
        assert (squared_error(w, vectors, gamma) <= plain * (1 + 1e-5)).all()


def test_four_bits_gain():
    w = np.random.default_rng(0).laplace(size=(64, 256))
    for scale_bits, least in ((None, 1.0), (4, 0.2)):
        fmt = VectorFormat(4, scale_bits, 16)
        plain, found = (
            squared_error(w, *method(w, fmt)).sum() for method in (quantize_weights, search_weights)
        )
        assert 10 * np.log10(plain / found) > least


def test_zeros_and_values_that_are_not_finite():
    vectors, gamma = search_weights(np.zeros((2, 16)), VectorFormat(4, 4, 16))
    assert not vectors[..., :-1].any()
    assert np.isfinite(gamma).all()
    with pytest.raises(QuantizationError, match="not finite"):
        search_weights(np.full((2, 16), np.nan), VectorFormat(4, 4, 16))


def test_the_papers_order_has_no_search():
    fields = tvm_vsq.QuantConfig.parse("4/4/4/4").model_dump()
    with pytest.raises(ConfigError, match="weight_order='paper' does not"):
        tvm_vsq.QuantConfig.model_validate(fields | {"weight_calibration": "mse", "weight_order": "paper"})


@pytest.mark.parametrize("target", one_of(["vsq-accel", "vsq-accel-int8"]))
@pytest.mark.large
def test_a_network_with_searched_scales_runs_bit_exactly(networks, target):
    model, x = networks.build(networks.ResNet)
    results = []
    for method in ("max", "mse"):
        config = tvm_vsq.QuantConfig.of_hardware(load_hardware(target))
        exe = tvm_vsq.compile(
            model,
            target,
            quant=config.model_copy(update={"weight_calibration": method}),
            calibration=networks.samples(networks.ResNet),
            example_inputs=(x,),
        )
        results.append(exe(x).numpy())
        assert np.array_equal(results[-1], exe.reference(x).numpy())
    # Uniform weights at 8 bits gain nothing from clipping: there the search keeps the usual scales.
    assert np.array_equal(*results) == (target == "vsq-accel-int8")
