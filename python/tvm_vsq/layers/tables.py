"""A function as a table of integers: its units and segments (docs/numerics.md, section 5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats.table import TABLE_INPUT_BITS, TABLE_SEGMENTS
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.layers.functions import Function

_HALF = 1 << (TABLE_INPUT_BITS - 1)
_VALUE_BITS = 20
_SAMPLES = 64
"""Of each segment, to fit lines to."""


@dataclass(frozen=True)
class Table:
    """segments: int32[TABLE_SEGMENTS, 2] of (value, slope). argument, value: what one unit is worth."""

    segments: npt.NDArray[np.int32]
    argument: float
    value: float


def _knots(function: Function, most: float) -> npt.NDArray[np.float64]:
    """Values at the borders of segments: the function's, or, where its slope jumps nowhere, those with which
    lines between them have the least squared error. Chords of a function that is bent one way are all off to
    one side.
    """
    borders = np.linspace(-most, most, TABLE_SEGMENTS + 1)
    if not function.is_smooth:
        return function(borders)
    inside = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    x = (borders[:-1, None] + inside * (borders[1] - borders[0])).ravel()
    left, right = np.tile(1 - inside, TABLE_SEGMENTS), np.tile(inside, TABLE_SEGMENTS)
    segment = np.repeat(np.arange(TABLE_SEGMENTS), _SAMPLES)
    lines = np.zeros((len(x), TABLE_SEGMENTS + 1))
    lines[np.arange(len(x)), segment], lines[np.arange(len(x)), segment + 1] = left, right
    return np.asarray(np.linalg.solve(lines.T @ lines, lines.T @ function(x)), np.float64)


def table_of(function: Function, absmax: float, finest: float, hardware: HardwareConfig) -> Table:
    """The table of `function` for arguments up to `absmax`, whose unit is at least `finest`.

    Its arguments go up to a power of two times the function's kink, which is so the border of a segment; of a
    function with a `reach`, no further than that.
    """
    base = function.kink or 1.0
    wanted = min(absmax, function.reach) if function.reach else absmax
    wanted = max(wanted, finest * _HALF, math.ldexp(base, -60))
    most = math.ldexp(base, math.ceil(math.log2(wanted / base)))
    knots = _knots(function, most)
    bits = min(_VALUE_BITS, hardware.accumulator_bits - 2)
    peak = max(float(np.abs(knots).max()), math.ldexp(most, -30))
    value = math.ldexp(1.0, math.ceil(math.log2(peak)) - bits)
    units = np.rint(knots / value).astype(np.int64)
    segments = np.stack([units[:-1], np.diff(units)], axis=1).astype(np.int32)
    return Table(segments, most / _HALF, value)
