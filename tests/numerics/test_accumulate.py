"""The integer dot product, and the convolution and matrix product made of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_vsq.errors import InputError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import accumulate, multiply_scales, quantize_weights
from tvm_vsq.ops.conv2d.reference import conv2d_accumulate


def random_vectors(rng: np.random.Generator, *leading: int) -> np.ndarray:
    elements = rng.integers(-127, 256, (*leading, 8))
    return np.concatenate([elements, rng.integers(0, 1024, (*leading, 1))], axis=-1).astype(np.int16)


def scalar_convolution(x, w, strides, padding, dilation, shift, bits):  # type: ignore[no-untyped-def]
    """Element by element in Python integers, from the definition."""
    batch, height, width, vectors, _ = x.shape
    channels, kernel_height, kernel_width = w.shape[:3]
    top, left, bottom, right = padding
    out_height = (height + top + bottom - dilation[0] * (kernel_height - 1) - 1) // strides[0] + 1
    out_width = (width + left + right - dilation[1] * (kernel_width - 1) - 1) // strides[1] + 1
    out = np.zeros((batch, out_height, out_width, channels), np.int64)
    for n, i, j, k in np.ndindex(*out.shape):
        total = 0
        for r, s, v in np.ndindex(kernel_height, kernel_width, vectors):
            row, column = i * strides[0] + r * dilation[0] - top, j * strides[1] + s * dilation[1] - left
            if not (0 <= row < height and 0 <= column < width):
                continue
            a, b = [int(e) for e in x[n, row, column, v]], [int(e) for e in w[k, r, s, v]]
            scale = a[-1] * b[-1]
            if shift:
                scale = min((2 * scale + 2**shift) // 2 ** (shift + 1), 2**bits - 1)
            total += scale * sum(p * q for p, q in zip(a[:-1], b[:-1], strict=True))
        out[n, i, j, k] = total
    return out


@given(st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_a_convolution_is_the_sum_of_its_definition(seed):
    rng = np.random.default_rng(seed)
    kernel, strides, dilation = rng.integers(1, 4, 2), rng.integers(1, 3, 2), rng.integers(1, 3, 2)
    padding = rng.integers(0, 3, 4)
    image = np.maximum(rng.integers(1, 5, 2), dilation * (kernel - 1) + 1 - padding[:2] - padding[2:])
    vectors = int(rng.integers(1, 3))
    x = random_vectors(rng, int(rng.integers(1, 3)), *image, vectors)
    w = random_vectors(rng, int(rng.integers(1, 4)), *kernel, vectors)
    geometry = (strides.tolist(), padding.tolist(), dilation.tolist())
    shift = int(rng.integers(0, 12))
    rounding = (shift, 20 - shift)
    assert np.array_equal(
        conv2d_accumulate(x, w, *geometry, *rounding), scalar_convolution(x, w, *geometry, *rounding)
    )


def test_a_matrix_product_is_a_one_by_one_convolution():
    rng = np.random.default_rng(3)
    x, w = random_vectors(rng, 2, 3, 4, 5), random_vectors(rng, 6, 5)
    convolved = conv2d_accumulate(x, w[:, None, None], (1, 1), (0, 0, 0, 0), (1, 1), 3, 17)
    assert np.array_equal(accumulate(x, w, 3, 17), convolved)
    assert accumulate(x[0, 0, 0], w, 3, 17).shape == (6,)


def test_with_scale_one_everywhere_it_is_an_ordinary_integer_product():
    rng = np.random.default_rng(5)
    w, _ = quantize_weights(rng.normal(size=(6, 64)), VectorFormat(8, None, 64))
    x = w[:4]
    expected = x[:, 0, :-1].astype(np.int64) @ w[:, 0, :-1].astype(np.int64).T
    assert np.array_equal(accumulate(x, w, 0, 0), expected)


def test_a_rounded_scale_product_rounds_half_up_and_saturates_at_its_width():
    assert multiply_scales([1, 1, 2, 3], [7, 8, 12, 8], 4, 4).tolist() == [0, 1, 2, 2]
    assert multiply_scales(15, 15, 4, 4) == 14
    assert multiply_scales(1023, 1023, 19, 1) == 1  # rounds to 2, which one bit cannot hold
    assert multiply_scales(1023, 1023, 19, 0) == 2


def test_operands_that_do_not_agree_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="do not agree"):
        accumulate(random_vectors(rng, 2, 3), random_vectors(rng, 4, 2), 0, 0)
    with pytest.raises(InputError, match="do not agree"):
        conv2d_accumulate(
            random_vectors(rng, 1, 3, 3, 2), random_vectors(rng, 4, 1, 1, 3), (1, 1), (0,) * 4, (1, 1), 0, 0
        )
    with pytest.raises(InputError, match="exceeds the padded input"):
        conv2d_accumulate(
            random_vectors(rng, 1, 3, 3, 2), random_vectors(rng, 4, 4, 1, 2), (1, 1), (0,) * 4, (1, 1), 0, 0
        )
