"""Integers round half up, whatever their sign."""

from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.numerics import round_half_up, round_shift


@given(st.integers(-(2**61), 2**61), st.integers(1, 2**60))
def test_round_half_up_is_floor_of_the_quotient_plus_a_half(n, d):
    assert round_half_up(n, d) == floor(Fraction(n, d) + Fraction(1, 2))


@given(st.integers(-(2**61), 2**61), st.integers(0, 62))
def test_a_right_shift_rounds_like_a_division_by_its_power_of_two(n, shift):
    assert round_shift(n, shift) == floor(Fraction(n, 2**shift) + Fraction(1, 2))


def test_halves_go_towards_plus_infinity():
    assert round_half_up(np.array([-5, -3, -1, 1, 3, 5]), 2).tolist() == [-2, -1, 0, 1, 2, 3]
    assert round_shift(np.array([-6, -2, 2, 6]), 2).tolist() == [-1, 0, 1, 2]
