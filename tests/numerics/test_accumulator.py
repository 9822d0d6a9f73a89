"""The overflow proof: a bound that is reached, and an error that says what is too small."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.errors import QuantizationError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import accumulate, accumulator_bound, check_accumulator


@given(
    st.integers(2, 8),
    st.integers(0, 10),
    st.integers(2, 8),
    st.integers(0, 10),
    st.booleans(),
    st.integers(1, 5),
    st.integers(0, 19),
)
def test_the_bound_is_what_the_largest_operands_reach(
    w_bits, w_scale, a_bits, a_scale, signed, vectors, shift
):
    weight, activation = VectorFormat(w_bits, w_scale, 16), VectorFormat(a_bits, a_scale, 16, signed)
    full = w_scale + a_scale
    shift = min(shift, max(0, full - 1))
    w = np.array([[[weight.qmax] * 16 + [weight.smax]] * vectors], np.int16)
    x = np.array([[activation.qmax] * 16 + [activation.smax]] * vectors, np.int16)
    bound = accumulator_bound(vectors, weight, activation, shift, full - shift)
    assert accumulate(x, w, shift, full - shift).tolist() == [bound]


def test_a_bound_fits_when_it_is_below_the_sign_bit():
    weight = activation = VectorFormat(8, None, 16)
    bound = accumulator_bound(10, weight, activation, 0, 0)
    assert bound == 10 * 16 * 127 * 127  # 2580640 < 2^22
    assert check_accumulator("c", 10, weight, activation, 0, 0, 23) == bound


@pytest.mark.parametrize("bits", [16, 17, 24, 46])
def test_a_bound_of_a_power_of_two_needs_the_bit_above_it(bits):
    weight = activation = VectorFormat(2, None, 16)  # magnitudes of 1: a vector adds 16 to the bound
    vectors = 2 ** (bits - 5)
    with pytest.raises(
        QuantizationError, match=rf"reach {2 ** (bits - 1)}, .*accumulator_bits >= {bits + 1}"
    ):
        check_accumulator("c", vectors, weight, activation, 0, 0, bits)
    assert check_accumulator("c", vectors, weight, activation, 0, 0, bits + 1) == 2 ** (bits - 1)
    assert check_accumulator("c", vectors - 1, weight, activation, 0, 0, bits) < 2 ** (bits - 1)


def test_a_bound_too_large_is_refused_with_layer_numbers_and_remedy():
    weight = activation = VectorFormat(8, None, 16)
    with pytest.raises(QuantizationError, match=r"layer 'conv1'.*2580640.*22-bit.*2097152.*>= 23"):
        check_accumulator("conv1", 10, weight, activation, 0, 0, 22)


def test_weights_that_reach_less_than_their_format_are_taken():
    """By the bound that the weights themselves give, which operands at their limits reach."""
    rng = np.random.default_rng(0)
    weight, activation = VectorFormat(4, 6, 8), VectorFormat(8, 10, 8, signed=False)
    weights = np.concatenate([rng.integers(-2, 3, (3, 5, 8)), rng.integers(1, 9, (3, 5, 1))], axis=-1)
    x = np.concatenate([np.full((1, 5, 8), activation.qmax), np.full((1, 5, 1), activation.smax)], axis=-1)
    reached = max(
        int(accumulate(x.astype(np.int16), np.abs(weights[k : k + 1]).astype(np.int16), 6, 8).max())
        for k in range(3)
    )
    bits = reached.bit_length() + 1
    given = ("c", 5, weight, activation, 6, 8, bits)
    with pytest.raises(QuantizationError, match="can reach"):
        check_accumulator(*given)
    assert check_accumulator(*given, weights.astype(np.int16)) == reached
    with pytest.raises(QuantizationError, match=f"can reach {reached}"):
        check_accumulator(*given[:-1], bits - 1, weights.astype(np.int16))
