"""Weights to vectors, at compile time (docs/numerics.md, section 3.1; VS-Quant, section 4)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import InputError, QuantizationError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics.layout import join, split_channels

Order = Literal["integer", "paper"]


def quantize_weights(
    w: npt.NDArray[np.floating[Any]], fmt: VectorFormat, order: Order = "integer"
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Quantize `w` [K, R, S, C], [K, R, S] or [K, C] to int16[K, ..., CV, V+1], and gamma f32[K].

    Vectors run along its last axis.

    w ~ gamma[k] * scale * element. `order` "integer" chooses the elements against the rounded integer scale;
    "paper" against the floating-point scale, which is rounded afterwards, as VS-Quant does, and
    may then round to 0. Without vector scales the two are the same.
    Raises InputError for a wrong rank, an empty axis or an unknown order, ConfigError for an unsigned format
    and QuantizationError for a weight that is not finite.
    """
    if w.ndim not in (2, 3, 4) or 0 in w.shape:
        raise InputError(
            f"weights must be [K, R, S, C], [K, R, S] or [K, C] without empty axes, got {list(w.shape)}"
        )
    if order not in ("integer", "paper"):
        raise InputError(f"order={order!r} is not known; use 'integer' or 'paper'")
    if not fmt.signed:
        raise InputError("weights are signed; use VectorFormat(..., signed=True)")
    if not np.isfinite(w).all():
        raise QuantizationError(
            f"weights of shape {list(w.shape)} hold {int((~np.isfinite(w)).sum())} values "
            "that are not finite; repair the model before quantizing it"
        )
    values = split_channels(w.astype(np.float64), fmt)
    vector_peak = np.abs(values).max(axis=-1)
    channel_peak = vector_peak.reshape(len(w), -1).max(axis=1)
    gamma = (channel_peak / (fmt.qmax * fmt.smax)).astype(np.float32)
    gamma[gamma == 0] = 1.0  # a channel of zeros, or of values below float32's range
    step = gamma.astype(np.float64).reshape(-1, *[1] * (vector_peak.ndim - 1))

    if order == "paper" and fmt.scale_bits is not None:
        float_scale = vector_peak / fmt.qmax
        scale = np.clip(np.rint(float_scale / step), 0, fmt.smax)
        divisor = np.where(float_scale > 0, float_scale, 1.0)
    else:
        scale = np.clip(np.rint(vector_peak / (fmt.qmax * step)), 1, fmt.smax)
        divisor = step * scale
    elements = np.clip(np.rint(values / divisor[..., None]), fmt.lo, fmt.qmax)
    return join(elements, scale), gamma
