"""A vector format derives its limits from its widths and refuses widths that the hardware cannot have."""

import pytest

from tvm_vsq.errors import ConfigError
from tvm_vsq.formats import VectorFormat


def test_signed_elements_are_symmetric_and_unsigned_ones_use_every_code():
    signed, unsigned = VectorFormat(4, 6, 16), VectorFormat(4, 6, 16, signed=False)
    assert (signed.lo, signed.qmax, signed.smax) == (-7, 7, 63)
    assert (unsigned.lo, unsigned.qmax, unsigned.smax) == (0, 15, 63)


def test_a_side_without_vector_scales_has_scale_one():
    assert VectorFormat(8, None, 16).smax == 1
    assert VectorFormat(8, 0, 16) == VectorFormat(8, None, 16)


def test_the_scale_travels_in_the_lane_behind_the_elements():
    assert VectorFormat(8, 4, 32).lanes == 33


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 4, 16), "bits=1"),
        ((9, 4, 16), "bits=9"),
        ((4, 11, 16), "scale_bits=11"),
        ((4, -1, 16), "scale_bits=-1"),
        ((4, 4, 12), "vector_size=12"),
    ],
)
def test_widths_that_cannot_be_are_refused_by_name(arguments, message):
    with pytest.raises(ConfigError, match=message):
        VectorFormat(*arguments)


def test_a_record_is_the_elements_and_then_the_scale():
    assert VectorFormat(4, 6, 16).record_bits == 16 * 4 + 6
    assert VectorFormat(8, None, 64).record_bits == 64 * 8
