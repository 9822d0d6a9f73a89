"""Coarse scales: what one integer step of a tensor is worth (docs/numerics.md, section 5)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats import VectorFormat
from tvm_vsq.hardware import HardwareConfig

Array = npt.NDArray[Any]

_BIAS_BITS = 30
_HEADROOM_BITS = 2


def activation_gamma(absmax: float, fmt: VectorFormat) -> np.float32:
    """gamma with which qmax * smax reaches `absmax`; a tensor of zeros gets the gamma of absmax 1."""
    return np.float32((absmax or 1.0) / (fmt.qmax * fmt.smax))


def accumulator_steps(weights: Array, gamma_w: Array, gamma_a: float, product_shift: int) -> Array:
    """float64[K]: what one step of each output channel's accumulator is worth; 0 if all its weights are 0.

    weights: int16[K, ..., V+1]; gamma_w: float32[K]; gamma_a: of the layer's input.
    """
    is_live = weights[..., :-1].reshape(len(weights), -1).any(axis=1)
    return np.where(is_live, gamma_w.astype(np.float64) * float(gamma_a) * 2.0**product_shift, 0.0)


def smallest_step(steps: Array, residual_gamma: float, bias: Array, hardware: HardwareConfig) -> float:
    """The finest unit of the post-processing result that its integers can hold.

    Each factor (an accumulator step, `residual_gamma`, over the unit) stays 2 bits below the multiplier's
    range, and each bias below 2^30, so that no channel with an odd range stops the compilation; the result
    is coarser instead, and still finer than the products it sums.
    """
    largest = max(float(steps.max(initial=0.0)), residual_gamma) / 2.0 ** (
        hardware.multiplier_bits - _HEADROOM_BITS
    )
    peak = float(np.abs(bias).max(initial=0.0)) / 2.0**_BIAS_BITS
    return max(largest, peak, math.ldexp(1.0, -100))


def output_gamma(absmax: float, fmt: VectorFormat, finest: float, hardware: HardwareConfig) -> np.float32:
    """gamma of a requantized result: from its calibrated range, raised to what `smallest_step` allows."""
    wanted = absmax / (fmt.qmax * fmt.smax)
    return np.float32(max(wanted, finest * 2.0**hardware.guard_bits))


def wide_step(absmax: float, finest: float) -> np.float32:
    """Unit of a result that leaves as int32: 22 bits for its calibrated range, 9 more before it clips."""
    return np.float32(max(absmax / 2.0**22, finest))
