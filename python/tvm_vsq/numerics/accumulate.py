"""The integer dot product with scale units, and the layers made of it (docs/numerics.md, section 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import InputError
from tvm_vsq.numerics.layout import split
from tvm_vsq.numerics.rounding import round_half_up

Int64Array = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.int16]


def multiply_scales(
    weight: npt.ArrayLike, activation: npt.ArrayLike, product_shift: int, product_bits: int
) -> Int64Array:
    """Products of vector scales, rounded half up to their `product_bits` high bits (VS-Quant, section 5).

    `product_shift` low bits go; rounding up past the top saturates at 2^product_bits - 1 (0: no limit).
    """
    product = np.asarray(weight, np.int64) * np.asarray(activation, np.int64)
    if product_shift == 0:
        return product
    rounded = round_half_up(product, 1 << product_shift)
    return np.minimum(rounded, (1 << product_bits) - 1) if product_bits else rounded


def dense_accumulate(x: Vectors, w: Vectors, product_shift: int, product_bits: int) -> Int64Array:
    """`x` int16[..., CV, V+1] times `w` int16[K, CV, V+1] transposed: accumulators int64[..., K].

    Raises InputError if the two do not agree in CV and V.
    """
    if w.ndim != 3 or x.ndim < 2 or x.shape[-2:] != w.shape[-2:]:
        raise InputError(
            f"x [..., CV, V+1] and w [K, CV, V+1] do not agree: {list(x.shape)} and {list(w.shape)}"
        )
    x_elements, x_scales = split(x.reshape(-1, *x.shape[-2:]))
    w_elements, w_scales = split(w)
    # [CV, rows, V] @ [CV, V, K]. float64 because NumPy has no fast integer product: every partial sum is an
    # integer below 64 * 255 * 127 < 2^53, so the dot products are exact in any order.
    dots = x_elements.transpose(1, 0, 2).astype(np.float64) @ w_elements.transpose(1, 2, 0).astype(np.float64)
    products = multiply_scales(w_scales.T[:, None, :], x_scales.T[:, :, None], product_shift, product_bits)
    return np.asarray((products * dots.astype(np.int64)).sum(axis=0).reshape(*x.shape[:-2], len(w)))


def conv2d_accumulate(
    x: Vectors,
    w: Vectors,
    strides: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    product_shift: int,
    product_bits: int,
) -> Int64Array:
    """`x` int16[N, H, W, CV, V+1] convolved with `w` int16[K, R, S, CV, V+1]: int64[N, OH, OW, K].

    `strides` and `dilation` are (vertical, horizontal), `padding` is (top, left, bottom, right) in pixels of
    zeros. Raises InputError if shapes do not agree or the dilated kernel exceeds the padded input.
    """
    if x.ndim != 5 or w.ndim != 5 or x.shape[-2:] != w.shape[-2:]:
        raise InputError(
            f"x [N, H, W, CV, V+1] and w [K, R, S, CV, V+1] do not agree: {list(x.shape)} and {list(w.shape)}"
        )
    top, left, bottom, right = padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0), (0, 0)))
    reach = [dilation[axis] * (w.shape[1 + axis] - 1) + 1 for axis in (0, 1)]
    if padded.shape[1] < reach[0] or padded.shape[2] < reach[1]:
        raise InputError(f"the dilated kernel {reach} exceeds the padded input {list(padded.shape[1:3])}")
    height, width = ((padded.shape[1 + axis] - reach[axis]) // strides[axis] + 1 for axis in (0, 1))
    total = np.zeros((len(x), height, width, len(w)), np.int64)
    for r in range(w.shape[1]):
        for s in range(w.shape[2]):
            rows = slice(r * dilation[0], r * dilation[0] + (height - 1) * strides[0] + 1, strides[0])
            columns = slice(s * dilation[1], s * dilation[1] + (width - 1) * strides[1] + 1, strides[1])
            total += dense_accumulate(padded[:, rows, columns], w[:, r, s], product_shift, product_bits)
    return total
