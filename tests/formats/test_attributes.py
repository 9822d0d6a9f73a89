"""Formats go through the attributes of operators unchanged, and say how scale products are rounded."""

import pytest

from tvm_vsq.errors import ConfigError
from tvm_vsq.formats import OUTPUT, QUANTIZED, WEIGHTS, LayerFormats, VectorFormat

FORMATS = [VectorFormat(4, 6, 16), VectorFormat(8, None, 64, signed=False), VectorFormat(2, 10, 8)]


@pytest.mark.parametrize("fmt", FORMATS)
def test_attributes_are_integers_that_read_back(fmt):
    for kind in (QUANTIZED, OUTPUT):
        attributes = kind.write(fmt)
        assert tuple(attributes) == kind.names
        assert all(type(value) is int for value in attributes.values())
        assert kind.read(attributes, fmt.vector_size) == fmt
    assert QUANTIZED.read(QUANTIZED.write(fmt)) == fmt
    assert WEIGHTS.read(WEIGHTS.write(fmt), fmt.vector_size) == fmt.with_sign(True)


def test_an_absent_scale_is_zero_bits_in_an_attribute():
    assert OUTPUT.write(VectorFormat(8, None, 16)) == {"out_bits": 8, "out_scale_bits": 0, "out_signed": 1}


def test_attributes_that_are_no_format_are_refused_by_field():
    with pytest.raises(ConfigError, match="bits=0"):
        OUTPUT.read({"out_bits": 0, "out_scale_bits": 0, "out_signed": 1}, 16)


@pytest.mark.parametrize(
    ("scales", "kept", "shift", "product"),
    [
        ((4, 4), None, 0, 8),
        ((6, 10), 8, 8, 8),
        ((3, 2), 8, 0, 5),
        ((None, 4), 3, 1, 3),
        ((None, None), None, 0, 0),
    ],
)
def test_a_scale_product_is_rounded_to_the_bits_that_are_kept(scales, kept, shift, product):
    formats = LayerFormats.of(VectorFormat(4, scales[0], 16), VectorFormat(8, scales[1], 16, False), kept)
    assert (formats.product_shift, formats.product_bits) == (shift, product)
    assert formats.full_product_bits == shift + product
    assert formats.activation.signed
