"""Weights quantize to vectors with integer scales and one fp32 scale per output channel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_vsq.errors import InputError, QuantizationError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import dequantize, quantize_weights


def formats() -> st.SearchStrategy[VectorFormat]:
    return st.builds(
        VectorFormat, st.integers(2, 8), st.none() | st.integers(1, 10), st.sampled_from([8, 16, 32, 64])
    )


@given(formats(), st.integers(0, 2**32), st.sampled_from(["integer", "paper"]))
@settings(max_examples=60, deadline=None)
def test_elements_and_scales_stay_in_their_ranges_and_padding_is_zero(fmt, seed, order):
    rng = np.random.default_rng(seed)
    channels = int(rng.integers(1, 70))
    w = rng.normal(size=(3, 2, 1, channels)) * 10.0 ** rng.uniform(-30, 30, size=(3, 1, 1, 1))
    vectors, gamma = quantize_weights(w, fmt, order)
    elements, scales = vectors[..., :-1], vectors[..., -1]
    assert vectors.shape == (3, 2, 1, fmt.vectors(channels), fmt.lanes)
    assert vectors.dtype == np.int16
    assert gamma.dtype == np.float32
    assert elements.min() >= -fmt.qmax
    assert elements.max() <= fmt.qmax
    assert scales.min() >= (0 if order == "paper" else 1)
    assert scales.max() <= fmt.smax
    assert not elements.reshape(3, 2, 1, -1)[..., channels:].any()


@given(formats(), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_an_element_is_the_closest_one_under_its_scale(fmt, seed):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(4, 40))
    vectors, gamma = quantize_weights(w, fmt)
    step = vectors[..., -1:] * gamma.astype(np.float64)[:, None, None]
    error = np.abs(dequantize(vectors, gamma, 40) - w)
    room = np.repeat(step, fmt.vector_size, axis=-1).reshape(4, -1)[:, :40]
    clipped = np.abs(vectors[..., :-1]).reshape(4, -1)[:, :40] == fmt.qmax
    assert (error[~clipped] <= 0.5001 * room[~clipped]).all()


def test_a_vector_worked_by_hand():
    # gamma = 7 / (7 * 3); the vectors' largest magnitudes 7 and 2.4 give the scales 3 and rint(1.03) = 1
    w = np.zeros((1, 16))
    w[0, :3] = [7.0, -3.4, 0.4]
    w[0, 8:11] = [2.4, -1.0, 0.5]
    vectors, gamma = quantize_weights(w, VectorFormat(4, 2, 8))
    assert gamma[0] == np.float32(1 / 3)
    assert vectors[0, :, -1].tolist() == [3, 1]
    assert vectors[0, 0, :3].tolist() == [7, -3, 0]
    assert vectors[0, 1, :3].tolist() == [7, -3, 1]  # 2.4 / gamma = 7.2 saturates; 0.5 / gamma just below 1.5


def test_a_channel_of_zeros_has_gamma_and_scales_one():
    vectors, gamma = quantize_weights(np.zeros((2, 3, 3, 20)), VectorFormat(4, 4, 16))
    assert gamma.tolist() == [1.0, 1.0]
    assert not vectors[..., :-1].any()
    assert (vectors[..., -1] == 1).all()


def test_a_channel_below_float32_becomes_zero_instead_of_dividing_by_zero():
    vectors, gamma = quantize_weights(np.full((1, 8), 1e-60), VectorFormat(4, 4, 8))
    assert gamma.tolist() == [1.0]
    assert not vectors[..., :-1].any()


def test_few_scale_bits_favour_the_integer_order():
    rng = np.random.default_rng(0)
    w = rng.normal(size=(16, 256))
    errors = {}
    for order in ("integer", "paper"):
        vectors, gamma = quantize_weights(w, VectorFormat(6, 4, 16), order)
        errors[order] = float(np.square(dequantize(vectors, gamma, 256) - w).sum())
    assert errors["integer"] < errors["paper"] / 2


def test_the_papers_order_may_round_a_scale_to_zero():
    w = np.zeros((1, 16))
    w[0, 0], w[0, 8] = 1.0, 0.01
    vectors, _ = quantize_weights(w, VectorFormat(4, 2, 8), "paper")
    assert vectors[0, 1, 0] == 7
    assert vectors[0, 1, -1] == 0


def test_without_vector_scales_both_orders_agree():
    w = np.random.default_rng(1).normal(size=(4, 33))
    fmt = VectorFormat(5, None, 16)
    for integer, paper in zip(quantize_weights(w, fmt), quantize_weights(w, fmt, "paper"), strict=True):
        assert np.array_equal(integer, paper)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(bad):
    w = np.ones((2, 8))
    w[1, 3] = bad
    with pytest.raises(QuantizationError, match="1 values that are not finite"):
        quantize_weights(w, VectorFormat(4, 4, 8))


def test_wrong_ranks_orders_and_signs_are_refused():
    fmt = VectorFormat(4, 4, 8)
    with pytest.raises(InputError, match=r"\[K, C\]"):
        quantize_weights(np.ones((2, 3, 2, 2, 8)), fmt)
    with pytest.raises(InputError, match="empty axes"):
        quantize_weights(np.ones((0, 8)), fmt)
    with pytest.raises(InputError, match="'float'"):
        quantize_weights(np.ones((2, 8)), fmt, "float")
    with pytest.raises(InputError, match="signed"):
        quantize_weights(np.ones((2, 8)), VectorFormat(4, 4, 8, signed=False))
