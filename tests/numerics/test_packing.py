"""Vector tensors become little-endian bit strings and come back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_vsq.errors import InputError, QuantizationError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import pack_activations, pack_weights, unpack_activations, unpack_weights


@st.composite
def vector_tensors(draw: st.DrawFn) -> tuple[np.ndarray, VectorFormat]:
    bits, scale_bits = draw(st.integers(2, 8)), draw(st.none() | st.integers(1, 10))
    signed, size = draw(st.booleans()), draw(st.sampled_from([8, 16, 32, 64]))
    leading = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    elements = rng.integers(low, high, (*leading, size))
    scales = rng.integers(0, 2**scale_bits, (*leading, 1)) if scale_bits else np.ones((*leading, 1), int)
    vectors = np.concatenate([elements, scales], axis=-1).astype(np.int16)
    return vectors, VectorFormat(bits, scale_bits, size, signed)


def record(vectors: np.ndarray, fmt: VectorFormat) -> bytes:
    """The same bit string, built as one Python integer."""
    string, position = 0, 0
    for *elements, scale in vectors.tolist():
        for value, width in [*((element, fmt.bits) for element in elements), (scale, fmt.scale_bits or 0)]:
            string |= (value & (2**width - 1)) << position
            position += width
    return string.to_bytes(-(-position // 8), "little")


@given(vector_tensors())
@settings(max_examples=60, deadline=None)
def test_activation_records_are_the_bit_string_and_round_trip(case):
    vectors, fmt = case
    records = pack_activations(vectors, fmt)
    flat = vectors.reshape(-1, vectors.shape[-1])
    assert records.tobytes() == b"".join(record(vector[None], fmt) for vector in flat)
    assert np.array_equal(unpack_activations(records, fmt), vectors)


@given(vector_tensors())
@settings(max_examples=60, deadline=None)
def test_weight_records_hold_a_block_of_vectors_back_to_back_and_round_trip(case):
    vectors, fmt = case
    records = pack_weights(vectors, fmt)
    blocks = vectors.reshape(-1, *vectors.shape[-2:])
    assert records.tobytes() == b"".join(record(block, fmt) for block in blocks)
    assert np.array_equal(unpack_weights(records, fmt, vectors.shape[-2]), vectors)


def test_a_record_spelled_out():
    # 3-bit elements and a 4-bit scale, most significant first: 1001 001 000 101 011 110 010 111 001
    vector = np.array([1, -1, 2, -2, 3, -3, 0, 1, 9], np.int16)
    assert pack_activations(vector, VectorFormat(3, 4, 8)).tobytes() == bytes.fromhex("b9bc2209")


@pytest.mark.parametrize(
    ("value", "lane", "signed", "message"),
    [
        (8, 0, True, "element 8 does not fit 4 bits"),
        (-9, 0, True, "element -9"),
        (-1, 0, False, "element -1"),
        (16, 0, False, "element 16"),
        (16, 8, True, "scale 16 does not fit 4 bits"),
        (-1, 8, True, "scale -1"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(value, lane, signed, message):
    vectors = np.ones((2, 9), np.int16)
    vectors[1, lane] = value
    with pytest.raises(QuantizationError, match=message):
        pack_activations(vectors, VectorFormat(4, 4, 8, signed))


def test_arrays_of_another_form_are_refused():
    fmt = VectorFormat(4, 4, 8)
    with pytest.raises(InputError, match="int16"):
        pack_activations(np.ones((2, 9), np.int32), fmt)
    with pytest.raises(InputError, match="V\\+1"):
        pack_activations(np.ones((2, 8), np.int16), fmt)
    with pytest.raises(InputError, match="36 bits"):
        unpack_activations(np.zeros((2, 4), np.uint8), fmt)
