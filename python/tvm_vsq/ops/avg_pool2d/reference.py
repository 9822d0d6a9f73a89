"""Average pooling of vectors in NumPy (docs/numerics.md, section 4): element times scale, added up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import InputError
from tvm_vsq.numerics.layout import split


def avg_pool2d_accumulate(
    x: npt.NDArray[np.int16],
    kernel: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    counted: Sequence[int],
) -> tuple[npt.NDArray[np.int64], int]:
    """`x` int16[N, H, W, CV, V+1] to int64[N, OH, OW, CV * V], and the divisor that all windows share.

    padding: top, left, bottom, right, of which `counted` in the same order, the innermost ones, are pixels of
    value 0. Raises InputError for a window in which nothing counts.
    """
    elements, scales = split(x)
    values = elements * scales[..., None]
    n, height, width = values.shape[:3]
    top, left, bottom, right = padding
    reach = [dilation[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1)]
    rows = (height + top + bottom - reach[0]) // strides[0] + 1
    columns = (width + left + right - reach[1]) // strides[1] + 1
    sums = np.zeros((n, rows, columns, values.shape[3] * values.shape[4]), np.int64)
    counts = np.zeros((rows, columns), np.int64)
    for row in range(rows):
        for column in range(columns):
            for i in range(row * strides[0] - top, row * strides[0] - top + reach[0], dilation[0]):
                for j in range(
                    column * strides[1] - left, column * strides[1] - left + reach[1], dilation[1]
                ):
                    if 0 <= i < height and 0 <= j < width:
                        sums[:, row, column] += values[:, i, j].reshape(n, -1)
                    is_row = -counted[0] <= i < height + counted[2]
                    counts[row, column] += is_row and -counted[1] <= j < width + counted[3]
            if not counts[row, column]:
                raise InputError(f"in the window at row {row}, column {column} nothing counts")
    divisor = int(np.lcm.reduce(counts.reshape(-1)))
    return sums * (divisor // counts)[..., None], divisor
