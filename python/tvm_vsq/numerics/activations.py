"""Activations to vectors: on the host from fp32, on the chip from integers (docs/numerics.md, section 3)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import InputError, QuantizationError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics.layout import join, split_channels
from tvm_vsq.numerics.rounding import round_half_up

_STEP_LIMIT = np.float32(2**30)


def inverse_step(gamma: float | np.float32, guard_bits: int) -> np.float32:
    """float32(2^guard_bits / gamma): what fp32 values are multiplied by to become integers.

    Raises QuantizationError unless gamma and its inverse are positive and finite in float32.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        step = np.float32(gamma)
        inverse = np.float32(2**guard_bits) / step
    if not (step > 0 and math.isfinite(step) and math.isfinite(inverse) and inverse > 0):
        raise QuantizationError(
            f"gamma={float(gamma)!r} cannot scale an activation tensor: gamma and 2^{guard_bits}/gamma must "
            "be positive and finite in float32; check the calibrated range"
        )
    return np.float32(inverse)


def quantize_activations(
    x: npt.NDArray[np.float32],
    fmt: VectorFormat,
    gamma: float | np.float32,
    guard_bits: int,
    scales: npt.ArrayLike | None = None,
) -> npt.NDArray[np.int16]:
    """Quantize `x` f32[..., C] to vectors int16[..., ceil(C/V), V+1]; x ~ gamma * scale * element.

    Only here does fp32 enter: y = rint(x * inverse_step) (half to even), in units of gamma / 2^guard_bits,
    clipped to +-2^30; a NaN becomes 0. `requantize` does the rest in integers.
    Raises InputError if `x` is not float32, and QuantizationError as `inverse_step` does.
    """
    if x.dtype != np.float32:
        raise InputError(f"activations must be float32, got {x.dtype}{list(x.shape)}")
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.clip(x * inverse_step(gamma, guard_bits), -_STEP_LIMIT, _STEP_LIMIT)
    steps = np.where(np.isnan(x), np.float32(0), np.rint(scaled)).astype(np.int32)
    return requantize(steps, fmt, guard_bits, scales)


def requantize(
    y: npt.NDArray[np.integer[Any]], fmt: VectorFormat, guard_bits: int, scales: npt.ArrayLike | None = None
) -> npt.NDArray[np.int16]:
    """Quantize `y` int[..., C], in units of gamma / 2^guard_bits, to vectors int16[..., ceil(C/V), V+1].

    A vector's scale is the smallest that holds its largest magnitude (rounded up), at least 1 and at most
    smax; an element is y over scale * 2^guard_bits, rounded half up and clipped. Channels beyond C are 0.
    scales: int[ceil(C/V)], static scales in place of those; what does not fit below them is clipped.
    Raises InputError if `y` is not an integer array, or if `scales` is not of that length or outside 1..smax.
    """
    if not np.issubdtype(y.dtype, np.integer):
        raise InputError(f"requantize takes integers, got {y.dtype}{list(y.shape)}")
    values = split_channels(y.astype(np.int64), fmt)
    if scales is None:
        peak = np.abs(values).max(axis=-1)
        divisor = fmt.qmax << guard_bits
        scale = np.clip((peak + divisor - 1) // divisor, 1, fmt.smax)
    else:
        scale = np.broadcast_to(_static(scales, values.shape[-2], fmt), values.shape[:-1])
    step = scale << guard_bits
    elements = np.clip(round_half_up(values, step[..., None]), fmt.lo, fmt.qmax)
    return join(elements, scale)


def _static(scales: npt.ArrayLike, vectors: int, fmt: VectorFormat) -> npt.NDArray[np.int64]:
    given = np.asarray(scales)
    if given.shape != (vectors,) or not np.issubdtype(given.dtype, np.integer):
        raise InputError(
            f"static scales must be {vectors} integers, one for each vector, got "
            f"{given.dtype}{list(given.shape)}"
        )
    if given.min() < 1 or given.max() > fmt.smax:
        raise InputError(f"static scales must be in 1..{fmt.smax}, got {given.min()}..{given.max()}")
    return given.astype(np.int64)
