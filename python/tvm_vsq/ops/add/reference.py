"""A vector tensor as accumulators in NumPy (docs/numerics.md, section 4): post-processing adds the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tvm_vsq.numerics.layout import split


def add_accumulate(x: npt.NDArray[np.int16], channels: int) -> npt.NDArray[np.int64]:
    """`x` int16[..., CV, V+1] to int64[..., channels]: element times scale."""
    elements, scales = split(x)
    return (elements * scales[..., None]).reshape(*x.shape[:-2], -1)[..., :channels]
