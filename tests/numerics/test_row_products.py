"""What products of probabilities reach is bounded by their sum: no row is beyond it, and some come close."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.formats import VectorFormat
from tvm_vsq.layers.row_tables import (
    RECIPROCAL_EXPONENT,
    exponential_table,
    exponential_unit,
    reciprocal_table,
)
from tvm_vsq.layers.steps import activation_gamma
from tvm_vsq.numerics import accumulate, fixed_point, post_process, requantize, row_product_bound
from tvm_vsq.numerics.rows import probability_rows


def reached(x, fmt, second, gamma, shift, guard_bits, multiplier_bits):
    """By scores int64[N], times a second operand whose elements and scales are the largest."""
    rows = probability_rows(
        x[None], exponential_table(), reciprocal_table(), 0, RECIPROCAL_EXPONENT, masked=False
    )
    ratio = 2.0 ** (guard_bits - 16) / gamma
    mult, places = fixed_point([ratio] * len(x), multiplier_bits)
    clip = np.full(len(x), (1 << 31) - 1)
    params = np.stack([mult, places, np.zeros_like(mult), clip], 1).astype(np.int32)
    vectors = requantize(post_process(rows, params), fmt, guard_bits)
    most = [second.qmax] * fmt.vector_size + [second.smax]
    w = np.array([[most] * vectors.shape[-2]], np.int16)
    full = fmt.scale_width + second.scale_width
    return int(accumulate(vectors, w, shift, full - shift).item())


def bound(numbers, fmt, second, gamma, shift, guard_bits, multiplier_bits):
    return row_product_bound(1, numbers, fmt, gamma, second, shift, guard_bits, multiplier_bits)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 200),
    st.tuples(st.integers(2, 8), st.integers(0, 10), st.booleans()),
    st.tuples(st.integers(2, 8), st.integers(0, 10)),
    st.integers(0, 8),
    st.integers(0, 4),
    st.integers(13, 16),  # fewer do not hold every factor
    st.floats(0.01, 1),
)
def test_no_row_goes_beyond_the_bound(seed, numbers, row, other, shift, guard, bits, limit):
    rng = np.random.default_rng(seed)
    fmt, second = VectorFormat(row[0], row[1], 16, row[2]), VectorFormat(*other, 16)
    shift = min(shift, max(fmt.scale_width + second.scale_width - 1, 0))
    scores = np.rint(rng.normal(0, rng.choice([0, 1e2, 3e3, 1e5]), numbers)).astype(np.int64)
    given = fmt, second, float(activation_gamma(limit, fmt)), shift, guard, bits
    assert reached(scores, *given) <= bound(numbers, *given)


@pytest.mark.parametrize(("fmt", "second"), [((8, 4), (8, 4)), ((8, 10), (8, 6)), ((4, 4), (4, 4))])
def test_equal_probabilities_come_close_to_the_bound(fmt, second):
    fmt, second = VectorFormat(*fmt, 16, signed=False), VectorFormat(*second, 16)
    given = fmt, second, float(activation_gamma(1 / 32, fmt)), 0, 2, 16
    assert reached(np.zeros(64, np.int64), *given) > 0.5 * bound(64, *given)


def test_elements_that_are_all_rounded_up_stay_below_the_bound():
    """One of each vector has its scale, the others half of that, and become as large."""
    fmt, second = VectorFormat(2, 8, 16), VectorFormat(4, 4, 16)
    scores = np.zeros(64, np.int64)
    scores[::16] = round(np.log(2) / exponential_unit(0))
    given = fmt, second, float(activation_gamma(1 / 32, fmt)), 0, 0, 16
    assert 1.5 * 32 * fmt.smax * second.qmax * second.smax < reached(scores, *given) <= bound(64, *given)
