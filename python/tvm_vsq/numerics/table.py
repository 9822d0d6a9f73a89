"""A function as a table of segments (docs/numerics.md, section 5)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import InputError
from tvm_vsq.formats.table import TABLE_INPUT_BITS, TABLE_SEGMENTS
from tvm_vsq.numerics.rounding import round_shift

_INT32 = np.iinfo(np.int32)


def look_up(y: npt.NDArray[np.integer], table: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """The values of `table` int32[segments, 2] (value, slope) for any integers y, taken as 16 bits.

    Raises InputError for a table of another shape.
    """
    if table.shape != (TABLE_SEGMENTS, 2):
        raise InputError(f"a table must be [{TABLE_SEGMENTS}, 2] (value, slope), got {list(table.shape)}")
    half, width = 1 << (TABLE_INPUT_BITS - 1), (1 << TABLE_INPUT_BITS) // TABLE_SEGMENTS
    segment, inside = np.divmod(np.clip(np.asarray(y, np.int64), -half, half - 1) + half, width)
    value, slope = table.astype(np.int64).T
    found: npt.NDArray[np.int64] = value[segment] + round_shift(
        slope[segment] * inside, width.bit_length() - 1
    )
    return found


def scale_values(values: npt.NDArray[np.int64], mult: int, shift: int) -> npt.NDArray[np.int32]:
    """Values of a table in the unit of the result: int32."""
    return np.asarray(np.clip(round_shift(values * mult, shift), _INT32.min, _INT32.max), np.int32)
