"""Products of two vector tensors in NumPy (docs/numerics.md, section 4)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tvm_vsq.numerics.layout import split


def multiply_accumulate(
    x: npt.NDArray[np.int16], other: npt.NDArray[np.int16], channels: int, rounding: int
) -> npt.NDArray[np.int64]:
    """`x` int16[..., CV, V+1], and `other` alike with 1 where it is repeated, to int64[..., channels]."""
    factors = []
    for vectors in (x, other):
        elements, scales = split(vectors)
        factors.append((elements * scales[..., None]).reshape(*vectors.shape[:-2], -1))
    product = factors[0] * factors[1]
    # Half of 2^rounding is added, and what is below 2^rounding dropped: towards minus infinity.
    rounded: npt.NDArray[np.int64] = np.floor_divide(2 * product + (1 << rounding), 2 << rounding)
    return rounded[..., :channels]
