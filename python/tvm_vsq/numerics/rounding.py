"""The one integer rounding: half up, towards plus infinity (docs/numerics.md, section 2)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]


def round_half_up(numerator: npt.ArrayLike, divisor: npt.ArrayLike) -> Int64Array:
    """floor((2n + d) / (2d)) elementwise in int64, for |n| < 2^62 - d and 0 < d < 2^62.

    round_half_up(5, 2) is 3, round_half_up(-5, 2) is -2.
    """
    n = np.asarray(numerator, np.int64)
    d = np.asarray(divisor, np.int64)
    return np.asarray((2 * n + d) // (2 * d), np.int64)


def round_shift(numerator: npt.ArrayLike, shift: npt.ArrayLike) -> Int64Array:
    """round_half_up(n, 2^shift) elementwise in int64, for 0 <= shift <= 62 and |n| < 2^62.

    floor((2n + d) / (2d)) with d = 2^shift equals (n + d/2) >> shift, which stays inside int64 where
    doubling n would not; for shift 0 the half is 0.
    """
    n = np.asarray(numerator, np.int64)
    s = np.asarray(shift, np.int64)
    half = (np.int64(1) << s) >> 1
    return np.asarray((n + half) >> s, np.int64)
