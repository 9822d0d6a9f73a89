"""Real factors become a multiplier that uses all its bits, and a shift."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.errors import QuantizationError
from tvm_vsq.numerics import fixed_point

RATIOS = st.floats(2.0**-40, 2.0**3, allow_nan=False)


@given(RATIOS, st.integers(4, 16))
def test_the_multiplier_is_normalised_and_close(ratio, bits):
    mult, shift = (int(value) for value in fixed_point(ratio, bits))
    assert 2 ** (bits - 1) <= mult < 2**bits
    assert 0 <= shift <= 62
    assert abs(mult * 2.0**-shift - ratio) <= ratio * 2.0**-bits


@given(RATIOS, st.integers(4, 16))
def test_the_shift_is_the_largest_possible(ratio, bits):
    _, shift = fixed_point(ratio, bits)
    assert np.rint(ratio * 2.0 ** (int(shift) + 1)) > 2**bits - 1


def test_edges():
    mult, shift = fixed_point([0.0, 1.0, 2.0**-70, 65535.0, 65535.4, 1 - 2.0**-40], 16)
    assert mult.tolist() == [0, 2**15, 0, 65535, 65535, 2**15]
    assert shift.tolist() == [62, 15, 62, 0, 0, 15]
    assert mult.dtype == shift.dtype == np.int32


@pytest.mark.parametrize("ratio", [65535.6, 65536.0, -1.0, np.nan, np.inf])
def test_a_factor_that_does_not_fit_is_refused_with_layer_and_channel(ratio):
    with pytest.raises(QuantizationError, match=r"layer 'fc'.*channel 1.*16-bit"):
        fixed_point([1.0, ratio], 16, "fc")
