"""The integers with which rows are normalized (docs/numerics.md, section 7)."""

from __future__ import annotations

from math import sqrt

from tvm_vsq.formats.rows import RESULT_BITS, Normalization
from tvm_vsq.layers.row_tables import ROOT_EXPONENT
from tvm_vsq.numerics import fixed_point

_SQUARED = 1 << 15
"""What the largest number that calibration saw is at most when it is squared; four times as much
saturates.
"""

_EPSILON_LIMIT = (1 << 31) - 1
_MEAN_BITS = 16

_MOST_EPSILON_SHIFT = 15


def unit_rows(length: int) -> float:
    """What one step of an accumulator is worth: rows have a sum of squares of 2^2F in place of their
    length.
    """
    return sqrt(length) / 2.0**RESULT_BITS


def least_unit(length: int, epsilon: float) -> float:
    """What a unit of such rows has to be worth: in finer ones `epsilon` would take more bits than there are,
    and 2^15 of these change no step of a result.
    """
    return sqrt(epsilon * length / _EPSILON_LIMIT) / 2.0**_MOST_EPSILON_SHIFT


def normalization(length: int, epsilon: float, unit: float, absmax: float, centered: bool) -> Normalization:
    """Of rows of `length` numbers up to `absmax`, in units that are worth `unit`; `epsilon` is added to
    their variance.

    A row's deviation from its mean may be twice `absmax`. Numbers lose as many bits before they are squared
    as that and epsilon take.
    """
    shift = 0
    while (
        2 * absmax > _SQUARED * unit * 2.0**shift
        or epsilon * length > _EPSILON_LIMIT * (unit * 2.0**shift) ** 2
    ):
        shift += 1
    mean_mult, mean_shift = fixed_point([1 / length], _MEAN_BITS)
    return Normalization(
        centered=centered,
        square_shift=shift,
        epsilon=round(epsilon * length / (unit * 2.0**shift) ** 2),
        exponent=ROOT_EXPONENT + shift,
        mean_mult=int(mean_mult[0]) if centered else 0,
        mean_shift=int(mean_shift[0]) if centered else 0,
    )
