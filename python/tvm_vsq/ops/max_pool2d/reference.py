"""Maximum pooling of vectors in NumPy (docs/numerics.md, section 4): element times scale, the largest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import InputError
from tvm_vsq.numerics.layout import split


def max_pool2d_accumulate(
    x: npt.NDArray[np.int16],
    kernel: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> npt.NDArray[np.int64]:
    """`x` int16[N, H, W, CV, V+1] to int64[N, OH, OW, CV * V]; what is outside of the image never counts.

    padding: top, left, bottom, right. Raises InputError for a window without a pixel.
    """
    elements, scales = split(x)
    values = elements * scales[..., None]
    n, height, width = values.shape[:3]
    top, left, bottom, right = padding
    reach = [dilation[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1)]
    rows = (height + top + bottom - reach[0]) // strides[0] + 1
    columns = (width + left + right - reach[1]) // strides[1] + 1
    result = np.empty((n, rows, columns, values.shape[3] * values.shape[4]), np.int64)
    for row in range(rows):
        for column in range(columns):
            inside = [
                values[:, i, j]
                for i in range(row * strides[0] - top, row * strides[0] - top + reach[0], dilation[0])
                for j in range(column * strides[1] - left, column * strides[1] - left + reach[1], dilation[1])
                if 0 <= i < height and 0 <= j < width
            ]
            if not inside:
                raise InputError(f"the window at row {row}, column {column} holds nothing but padding")
            result[:, row, column] = np.max(inside, axis=0).reshape(n, -1)
    return result
