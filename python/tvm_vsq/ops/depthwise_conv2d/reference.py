"""Depthwise convolution of vectors in NumPy (docs/numerics.md, section 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import InputError
from tvm_vsq.numerics.layout import split

Vectors = npt.NDArray[np.int16]


def depthwise_accumulate(
    x: Vectors,
    w: Vectors,
    kernel: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> npt.NDArray[np.int64]:
    """Each channel of `x` int16[N, H, W, CV, V+1] with its filter of `w` int16[K, R, SV, V+1].

    The result is int64[N, OH, OW, K]. kernel: R, S. padding: top, left, bottom, right, in pixels of zeros.
    Raises InputError if shapes do not agree or the dilated kernel exceeds the padded input.
    """
    rows, columns = kernel
    (elements, scales), (taps, tap_scales) = split(x), split(w)
    channels = len(w)
    values = (elements * scales[..., None]).reshape(*x.shape[:3], -1)[..., :channels]
    filters = (taps * tap_scales[..., None]).reshape(*w.shape[:2], -1)
    if values.shape[-1] != channels or filters.shape[1] != rows or filters.shape[2] < columns:
        raise InputError(
            f"x {list(x.shape)} and w {list(w.shape)} do not agree for kernels {rows} x {columns}"
        )
    top, left, bottom, right = padding
    padded = np.pad(values, ((0, 0), (top, bottom), (left, right), (0, 0)))
    reach = [dilation[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1)]
    if padded.shape[1] < reach[0] or padded.shape[2] < reach[1]:
        raise InputError(f"the dilated kernel {reach} exceeds the padded input {list(padded.shape[1:3])}")
    height, width = ((padded.shape[1 + axis] - reach[axis]) // strides[axis] + 1 for axis in (0, 1))
    total = np.zeros((len(x), height, width, channels), np.int64)
    for i in range(height):
        for j in range(width):
            for r in range(rows):
                for s in range(columns):
                    pixel = padded[:, i * strides[0] + r * dilation[0], j * strides[1] + s * dilation[1]]
                    total[:, i, j] += pixel * filters[:, r, s]
    return total
