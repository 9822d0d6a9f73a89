"""The tables that rows are normalized, or become probabilities, with (docs/numerics.md, section 7)."""

from __future__ import annotations

from functools import cache
from math import log

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats.rows import FACTOR_BITS, MANTISSA_BITS, RESULT_BITS
from tvm_vsq.formats.table import TABLE_INPUT_BITS, TABLE_SEGMENTS

Segments = npt.NDArray[np.int32]

EXPONENTIAL_BITS = 20
"""exp(0) in a table; what lies so many octaves below rounds to one step."""

EXPONENTIAL_REACH = EXPONENTIAL_BITS * log(2)
"""Arguments of exp go from 0 down to here."""

RECIPROCAL_EXPONENT = FACTOR_BITS + MANTISSA_BITS - RESULT_BITS
"""Of a sum in [2^16, 2^17): 2^32 / n has 16 bits, and results count steps of 2^-F."""

ROOT_EXPONENT = FACTOR_BITS + MANTISSA_BITS // 2 - RESULT_BITS
"""The same of 2^24 / sqrt(n)."""


@cache
def reciprocal_table() -> Segments:
    """2^32 / n for n from 2^16 to 2^17."""
    n = np.linspace(1, 2, TABLE_SEGMENTS + 1) * 2.0**MANTISSA_BITS
    return _segments(2.0 ** (FACTOR_BITS + MANTISSA_BITS) / n)


@cache
def reciprocal_root_table() -> Segments:
    """2^24 / sqrt(n) for n from 2^16 to 2^17, and then for 2 n."""
    octave = np.linspace(1, 2, TABLE_SEGMENTS // 2 + 1) * 2.0**MANTISSA_BITS
    n = np.concatenate([octave, 2 * octave[1:]])
    return _segments(2.0 ** (FACTOR_BITS + MANTISSA_BITS // 2) / np.sqrt(n))


@cache
def exponential_table(bits: int = EXPONENTIAL_BITS, least: int = 1) -> Segments:
    """2^bits * exp(x) for x from -EXPONENTIAL_REACH, where it is `least`, to 0."""
    x = np.linspace(-EXPONENTIAL_REACH, 0, TABLE_SEGMENTS + 1)
    knots = np.maximum(2.0**bits * np.exp(x), least)
    knots[0] = least
    return _segments(knots)


def exponential_unit(argument_shift: int) -> float:
    """What one unit of a row is worth whose exponential is looked up after a shift by so many bits."""
    return EXPONENTIAL_REACH / 2.0 ** (TABLE_INPUT_BITS + argument_shift)


def _segments(knots: npt.NDArray[np.float64]) -> Segments:
    """(value, slope) of each; neighbours meet."""
    units = np.rint(knots).astype(np.int64)
    return np.stack([units[:-1], np.diff(units)], axis=1).astype(np.int32)
