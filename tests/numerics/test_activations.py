"""Activations quantize to vectors: in integers on the chip, through one float32 multiply on the host."""

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_vsq.errors import InputError, QuantizationError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import dequantize, inverse_step, quantize_activations, requantize

INT32 = st.integers(-(2**31), 2**31 - 1)


@st.composite
def cases(draw: st.DrawFn) -> tuple[VectorFormat, int, list[int]]:
    fmt = VectorFormat(
        draw(st.integers(2, 8)),
        draw(st.none() | st.integers(1, 10)),
        draw(st.sampled_from([8, 16])),
        draw(st.booleans()),
    )
    values = draw(st.lists(INT32 | st.integers(-3000, 3000), min_size=1, max_size=20))
    return fmt, draw(st.integers(0, 8)), values


@given(cases())
@settings(deadline=None)
def test_requantize_follows_its_formula_in_exact_arithmetic(case):
    fmt, guard, values = case
    result = requantize(np.array(values, np.int32), fmt, guard)
    padded = values + [0] * (-len(values) % fmt.vector_size)
    for index, vector in enumerate(result):
        chunk = padded[index * fmt.vector_size : (index + 1) * fmt.vector_size]
        peak = max(abs(value) for value in chunk)
        scale = min(max(ceil(Fraction(peak, fmt.qmax * 2**guard)), 1), fmt.smax)
        rounded = [floor(Fraction(value, scale * 2**guard) + Fraction(1, 2)) for value in chunk]
        assert vector.tolist() == [min(max(q, fmt.lo), fmt.qmax) for q in rounded] + [scale]


def test_a_vector_of_zeros_has_scale_one():
    assert requantize(np.zeros(3, np.int32), VectorFormat(4, 4, 8), 2).tolist() == [[0] * 8 + [1]]


def test_negative_halves_round_up():
    y = np.array([-3, -1, 1, 3, 14], np.int32)  # steps of 1/2: 14 needs scale 1 with qmax 7
    assert requantize(y, VectorFormat(4, 4, 8), 1)[0, :5].tolist() == [-1, 0, 1, 2, 7]


def test_values_beyond_the_largest_scale_saturate():
    fmt = VectorFormat(4, 2, 8)
    assert requantize(np.array([1000, -1000, 21], np.int32), fmt, 0)[0].tolist() == [
        7,
        -7,
        7,
        0,
        0,
        0,
        0,
        0,
        3,
    ]


def test_the_least_int32_is_a_magnitude_like_any_other():
    assert requantize(np.array([-(2**31)], np.int32), VectorFormat(8, 10, 8), 0)[0, [0, -1]].tolist() == [
        -127,
        1023,
    ]


def test_unsigned_formats_clip_negative_values_but_scale_by_their_magnitude():
    # a tensor marked unsigned has no negative values; if one appears, it becomes 0
    assert requantize(np.array([-30, 15], np.int32), VectorFormat(4, 4, 8, signed=False), 0)[
        0, [0, 1, -1]
    ].tolist() == [
        0,
        8,
        2,
    ]


def test_fp32_enters_through_one_multiply_and_rounds_half_to_even():
    fmt = VectorFormat(8, None, 8)
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5], np.float32)
    assert quantize_activations(x, fmt, np.float32(1), 0)[0, :5].tolist() == [0, 2, 2, 0, -2]


def test_infinities_saturate_and_nan_becomes_zero():
    x = np.array([np.inf, -np.inf, np.nan, 3e38], np.float32)
    vector = quantize_activations(x, VectorFormat(4, 4, 8), np.float32(1e-6), 4)[0]
    assert vector[[0, 1, 2, 3, -1]].tolist() == [7, -7, 0, 7, 15]


@given(st.floats(2.0**-100, 2.0**100, width=32), st.integers(0, 8))
def test_the_inverse_step_is_the_float32_quotient(gamma, guard):
    assert inverse_step(gamma, guard) == np.float32(1) / (np.float32(gamma) / np.float32(2**guard))


@pytest.mark.parametrize("gamma", [0.0, -1.0, np.nan, np.inf, 1e-45, 1e39])
def test_a_gamma_that_cannot_scale_is_refused(gamma):
    with pytest.raises(QuantizationError, match="gamma="):
        inverse_step(gamma, 2)


@pytest.mark.parametrize("channels", [1, 15, 16, 17, 40])
def test_dequantize_returns_the_values_within_half_a_step(channels):
    rng = np.random.default_rng(channels)
    x = rng.normal(size=(2, 3, channels)).astype(np.float32)
    fmt = VectorFormat(8, 8, 16)
    gamma = np.float32(np.abs(x).max() / (fmt.qmax * fmt.smax))
    vectors = quantize_activations(x, fmt, gamma, 4)
    back = dequantize(vectors, gamma, channels)
    assert back.shape == x.shape
    assert back.dtype == np.float32
    assert np.abs(back - x).max() <= 0.55 * gamma * vectors[..., -1].max()


def test_wrong_dtypes_and_shapes_are_refused():
    fmt = VectorFormat(4, 4, 8)
    with pytest.raises(InputError, match="float64"):
        quantize_activations(np.ones(8), fmt, np.float32(1), 0)
    with pytest.raises(InputError, match="integers"):
        requantize(np.ones(8), fmt, 0)
    with pytest.raises(InputError, match="no channels"):
        requantize(np.ones((2, 0), np.int32), fmt, 0)
    vectors = requantize(np.ones((4, 8), np.int32), fmt, 0)
    with pytest.raises(InputError, match="channels=9"):
        dequantize(vectors, np.float32(1), 9)
    with pytest.raises(InputError, match="gamma has 3"):
        dequantize(vectors, np.ones(3, np.float32), 8)
    with pytest.raises(InputError, match="int16"):
        dequantize(vectors.astype(np.int32), np.float32(1), 8)


def test_static_scales_replace_those_of_the_data():
    fmt = VectorFormat(4, 4, 8)
    y = np.arange(-8, 8, dtype=np.int32)[None].repeat(2, axis=0)
    result = requantize(y, fmt, 0, [1, 2])
    assert result[0].tolist() == [
        [-7, -7, -6, -5, -4, -3, -2, -1, 1],
        [0, 1, 1, 2, 2, 3, 3, 4, 2],
    ]


@pytest.mark.parametrize(
    ("scales", "message"),
    [([1], "2 integers, one for each vector"), ([1.0, 2.0], "got float64"), ([0, 1], "in 1..15, got 0..1")],
)
def test_static_scales_that_do_not_fit_are_refused(scales, message):
    with pytest.raises(InputError, match=message):
        requantize(np.zeros(16, np.int32), VectorFormat(4, 4, 8), 0, scales)
