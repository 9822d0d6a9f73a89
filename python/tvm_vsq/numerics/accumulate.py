"""The integer dot product with scale units (docs/numerics.md, section 4)."""

from __future__ import annotations

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


def accumulate(x: Vectors, w: Vectors, product_shift: int, product_bits: int) -> Int64Array:
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
