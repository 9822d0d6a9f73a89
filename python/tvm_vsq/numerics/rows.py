"""Rows in integers, in NumPy (docs/numerics.md, section 7): normalized, or as probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats.rows import (
    FACTOR_BITS,
    LEAST_MAXIMUM,
    MANTISSA_BITS,
    SQUARED_BITS,
    TURN_BITS,
    Normalization,
)
from tvm_vsq.numerics.rounding import round_shift
from tvm_vsq.numerics.table import look_up

Integers = npt.NDArray[np.int64]


def saturated(x: Integers, bits: int = 32) -> Integers:
    """`x`, or the nearest signed number of so many bits."""
    return np.clip(x, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def reciprocal(x: Integers, table: npt.NDArray[np.int32], exponent: int) -> tuple[Integers, Integers]:
    """Mantissa and shift of 1 / x, x taken as at least 1; `table` int32[segments, 2] (value, slope)."""
    mantissa, doublings = _normalized(x)
    return _factor(mantissa - (1 << MANTISSA_BITS), table, exponent + doublings)


def reciprocal_root(x: Integers, table: npt.NDArray[np.int32], exponent: int) -> tuple[Integers, Integers]:
    """Mantissa and shift of 1 / sqrt(x), x taken as at least 1; odd powers of two take half of the table."""
    mantissa, doublings = _normalized(x)
    place = (mantissa - (1 << MANTISSA_BITS)) // 2
    place[doublings % 2 == 1] += 1 << (MANTISSA_BITS - 1)
    return _factor(place, table, exponent + doublings // 2)


def _normalized(x: Integers) -> tuple[Integers, Integers]:
    """x = n * 2^e, n in [2^16, 2^17) rounded down."""
    least = np.maximum(x, 1)
    e = np.array([int(each).bit_length() for each in least.flat], np.int64).reshape(x.shape)
    e -= MANTISSA_BITS + 1
    n = np.where(e >= 0, least >> np.maximum(e, 0), least << np.maximum(-e, 0))
    return n, e


def _factor(place: Integers, table: npt.NDArray[np.int32], shift: Integers) -> tuple[Integers, Integers]:
    value = look_up(place - (1 << (MANTISSA_BITS - 1)), table)
    return np.clip(value, 0, (1 << FACTOR_BITS) - 1), np.clip(shift, 0, 62)


def _scaled(rows: Integers, factor: tuple[Integers, Integers]) -> Integers:
    mantissa, shift = (each[..., None] for each in factor)
    return saturated(round_shift(rows * mantissa, shift))


def normalize_rows(x: npt.NDArray[np.integer], table: npt.NDArray[np.int32], how: Normalization) -> Integers:
    """Integers `x` [..., K] to accumulators: each row over the root of its sum of squares, times 2^F.

    If `how` is centered, the mean is subtracted before. table: of 1 / sqrt.
    """
    rows = x.astype(np.int64)
    if how.centered:
        total = round_shift(rows.sum(-1, keepdims=True) * how.mean_mult, how.mean_shift)
        rows = saturated(rows - saturated(total))
    shifted = saturated(round_shift(rows, how.square_shift), SQUARED_BITS)
    return _scaled(rows, reciprocal_root((shifted**2).sum(-1) + how.epsilon, table, how.exponent))


def probability_rows(
    x: npt.NDArray[np.integer],
    exponentials: npt.NDArray[np.int32],
    reciprocals: npt.NDArray[np.int32],
    shift: int,
    exponent: int,
    masked: bool,
) -> Integers:
    """Integers `x` [..., K] to accumulators: probabilities times 2^F. masked: a mask was added to x."""
    rows = x.astype(np.int64)
    top = saturated(rows.max(-1, keepdims=True) - (((1 << 15) - 1) << shift))
    if masked:
        top = np.maximum(top, LEAST_MAXIMUM - (((1 << 15) - 1) << shift))
    values = look_up(round_shift(rows - top, shift), exponentials)
    return _scaled(values, reciprocal(values.sum(-1), reciprocals, exponent))


def turning_factors(turns: npt.NDArray[np.floating]) -> npt.NDArray[np.int32]:
    """Cosines and sines, of magnitude 1 at most, as factors of 1 + cos and 1 + sin: mantissa and shift."""
    whole = np.rint(turns.astype(np.float64) * (1 << TURN_BITS)) + (1 << TURN_BITS)
    return (whole.astype(np.int64) + (TURN_BITS << FACTOR_BITS)).astype(np.int32)


def rotate_rows(x: npt.NDArray[np.integer], factors: npt.NDArray[np.int32]) -> Integers:
    """Integers `x` [..., heads * D] to accumulators: pairs i, i + D/2 of each head, (a, b), become
    (a cos - b sin, b cos + a sin); `factors` [..., D] of 1 + cos, and behind them of 1 + sin.
    """
    size = factors.shape[-1]
    heads = x.reshape(*x.shape[:-1], -1, 2, size // 2).astype(np.int64)
    cosines, sines = np.split(factors[..., None, :], 2, -1)
    a, b = heads[..., 0, :], heads[..., 1, :]
    of_cos = [saturated(_by(each, cosines) - each) for each in (a, b)]
    turned = [
        saturated(saturated(of_cos[0] + b) - _by(b, sines)),
        saturated(saturated(of_cos[1] - a) + _by(a, sines)),
    ]
    return np.stack(turned, -2).reshape(x.shape)


def _by(x: Integers, factor: npt.NDArray[np.int32]) -> Integers:
    mantissa, shift = factor & ((1 << FACTOR_BITS) - 1), factor >> FACTOR_BITS & 63
    return saturated(round_shift(x * mantissa, shift.astype(np.int64)))
