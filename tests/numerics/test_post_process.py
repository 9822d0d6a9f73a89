"""The post-processing unit in exact integers."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.errors import InputError
from tvm_vsq.numerics import post_process

INT32_MAX = 2**31 - 1
INT32 = st.integers(-(2**31), INT32_MAX)


@given(
    st.integers(-(2**45) + 1, 2**45 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 62),
    INT32,
    INT32,
    st.booleans(),
    st.none()
    | st.tuples(st.integers(-127, 255), st.integers(0, 1023), st.integers(0, 65535), st.integers(0, 62)),
)
def test_it_follows_its_formula_in_exact_arithmetic(acc, mult, shift, bias, clip, relu, residual):
    total = floor(Fraction(acc * mult, 2**shift) + Fraction(1, 2)) + bias
    arguments = {}
    if residual is not None:
        element, scale, res_mult, res_shift = residual
        total += floor(Fraction(element * scale * res_mult, 2**res_shift) + Fraction(1, 2))
        vector = np.zeros((1, 1, 9), np.int16)
        vector[..., 0], vector[..., -1] = element, scale
        arguments = {"residual": vector, "res_mult": res_mult, "res_shift": res_shift}
    expected = min(max(total, -(2**31)), INT32_MAX)
    expected = min(max(expected, 0) if relu else expected, clip)
    params = np.array([[mult, shift, bias, clip]], np.int32)
    result = post_process(np.array([[acc]], np.int64), params, relu, **arguments)
    assert result.dtype == np.int32
    assert result.tolist() == [[expected]]


def test_negative_halves_round_up_and_relu6_clips_both_ends():
    acc = np.array([[-3], [-1], [1], [3]], np.int64)
    params = np.array([[1, 1, 0, INT32_MAX]], np.int32)
    assert post_process(acc, params)[:, 0].tolist() == [-1, 0, 1, 2]
    params[0, 3] = 1
    assert post_process(acc, params, relu=True)[:, 0].tolist() == [0, 0, 1, 1]


def test_the_result_saturates_at_int32():
    acc = np.array([[2**44], [-(2**44)]], np.int64)
    params = np.array([[65535, 0, 0, INT32_MAX]], np.int32)
    assert post_process(acc, params)[:, 0].tolist() == [INT32_MAX, -(2**31)]


def test_shapes_that_do_not_fit_are_refused():
    acc, params = np.zeros((2, 10), np.int64), np.zeros((10, 4), np.int32)
    with pytest.raises(InputError, match=r"params must be \[10, 4\]"):
        post_process(acc, params[:9])
    for shape in ((2, 1, 9), (2, 3, 9), (3, 2, 9)):
        with pytest.raises(InputError, match="residual"):
            post_process(acc, params, residual=np.zeros(shape, np.int16))
