"""Convolution of vectors in NumPy (docs/numerics.md, section 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import InputError
from tvm_vsq.numerics import accumulate

Vectors = npt.NDArray[np.int16]


def conv2d_accumulate(
    x: Vectors,
    w: Vectors,
    strides: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    product_shift: int,
    product_bits: int,
) -> npt.NDArray[np.int64]:
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
            total += accumulate(padded[:, rows, columns], w[:, r, s], product_shift, product_bits)
    return total
