"""Vectors back to fp32 (docs/numerics.md, section 3.3)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import InputError
from tvm_vsq.numerics.layout import split


def dequantize(
    vectors: npt.NDArray[np.int16], gamma: float | np.float32 | npt.NDArray[np.float32], channels: int
) -> npt.NDArray[np.float32]:
    """`vectors` int16[..., CV, V+1] to f32[..., channels]: float32(element * scale) * gamma.

    `gamma` is a scalar (activations) or f32[K] along the first axis (weights). Raises InputError if
    `channels` does not fit the vectors or gamma's length is not the first axis.
    """
    elements, scales = split(vectors)
    products = (elements * scales[..., None]).astype(np.float32)  # below 2^18, so exact
    flat = products.reshape(*products.shape[:-2], -1)
    if not flat.shape[-1] - elements.shape[-1] < channels <= flat.shape[-1]:
        raise InputError(f"channels={channels} does not fit vectors of shape {list(vectors.shape)}")
    factor = np.asarray(gamma, np.float32)
    if factor.ndim == 1 and (vectors.ndim < 3 or len(factor) != len(vectors)):
        raise InputError(f"gamma has {len(factor)} values, the vectors' first axis is {vectors.shape[0]}")
    if factor.ndim > 1:
        raise InputError(f"gamma must be a scalar or [K], got shape {list(factor.shape)}")
    if factor.ndim == 1:
        factor = factor.reshape(-1, *[1] * (flat.ndim - 1))
    return np.asarray(flat[..., :channels] * factor, np.float32)
