"""Products of two stacks of matrices of vectors in NumPy (docs/numerics.md, section 4)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tvm_vsq.numerics.accumulate import multiply_scales
from tvm_vsq.numerics.layout import split


def matmul_accumulate(
    x: npt.NDArray[np.int16], other: npt.NDArray[np.int16], product_shift: int, product_bits: int
) -> npt.NDArray[np.int64]:
    """`x` int16[..., M, CV, V+1] and `other` int16[..., N, CV, V+1], which may have 1 where it is
    repeated, to int64[..., M, N].
    """
    (x_elements, x_scales), (other_elements, other_scales) = split(x), split(other)
    dots = np.einsum("...mcv,...ncv->...mnc", x_elements, other_elements)
    products = multiply_scales(
        other_scales[..., None, :, :], x_scales[..., :, None, :], product_shift, product_bits
    )
    found: npt.NDArray[np.int64] = (dots * products).sum(-1)
    return found
