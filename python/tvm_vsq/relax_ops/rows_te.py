"""Rows in integers, in TE (docs/numerics.md, section 7): normalized, or as probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import te, tirx

from tvm_vsq.formats.rows import FACTOR_BITS, LEAST_MAXIMUM, MANTISSA_BITS, SQUARED_BITS, Normalization
from tvm_vsq.formats.table import TABLE_INPUT_BITS, TABLE_SEGMENTS

_SUM_BITS = 50
_SEGMENT_BITS = TABLE_INPUT_BITS - (TABLE_SEGMENTS - 1).bit_length()


def int64(value: int) -> Any:
    """A constant."""
    return tirx.const(value, "int64")


def round_shift(value: Any, shift: Any) -> Any:
    """value / 2^shift rounded half up."""
    return (value + ((int64(1) << shift) >> int64(1))) >> shift


def saturated(value: Any, bits: int = 32) -> Any:
    """The nearest signed number of so many bits."""
    return te.max(te.min(value, int64((1 << (bits - 1)) - 1)), int64(-(1 << (bits - 1))))


def sum_te(x: te.Tensor, other: te.Tensor | None) -> te.Tensor:
    """int64 of `x` int32[..., K], with `other`, which has 1 where it is repeated, added and saturated."""

    def value(*at: Any) -> Any:
        mine = x(*at).astype("int64")
        if other is None:
            return mine
        place = [0 if int(extent) == 1 else i for i, extent in zip(at, other.shape, strict=True)]
        return saturated(mine + other(*place).astype("int64"))

    return te.compute(x.shape, value, name="rows")


def normalize_te(rows: te.Tensor, table: te.Tensor, how: Normalization) -> te.Tensor:
    """Accumulators int64[..., K] of `rows` int64[..., K], divided by the root of their sums of squares."""
    if how.centered:
        total = _over_row(rows, te.sum, lambda value: value)
        mult, shift = int64(how.mean_mult), int64(how.mean_shift)
        mean = te.compute(total.shape, lambda *at: saturated(round_shift(total(*at) * mult, shift)), "mean")
        whole = rows
        rows = te.compute(rows.shape, lambda *at: saturated(whole(*at) - mean(*at[:-1])), "centered")

    def square(value: Any) -> Any:
        number = saturated(round_shift(value, int64(how.square_shift)), SQUARED_BITS)
        return number * number

    squares = _over_row(rows, te.sum, square)
    root = te.compute(squares.shape, lambda *at: squares(*at) + int64(how.epsilon), "squares")
    return _scaled(rows, *_factor(root, table, how.exponent, is_root=True))


def probabilities_te(
    rows: te.Tensor, tables: te.Tensor, shift: int, exponent: int, masked: bool
) -> te.Tensor:
    """Accumulators int64[..., K]: probabilities of `rows` int64[..., K]; `tables` int32[2, segments, 2] of
    exp and 1 / x.
    """
    reach = ((1 << (TABLE_INPUT_BITS - 1)) - 1) << shift
    largest = _over_row(rows, te.max, lambda value: value)

    def top(*at: Any) -> Any:
        value = saturated(largest(*at) - int64(reach))
        return te.max(value, int64(LEAST_MAXIMUM - reach)) if masked else value

    tops = te.compute(largest.shape, top, "top")
    values = te.compute(
        rows.shape,
        lambda *at: _looked_up(round_shift(rows(*at) - tops(*at[:-1]), int64(shift)), tables, 0),
        "exponentials",
    )
    total = _over_row(values, te.sum, lambda value: value)
    return _scaled(values, *_factor(total, tables, exponent, is_root=False))


def _over_row(rows: te.Tensor, reduction: Callable[..., Any], of: Callable[[Any], Any]) -> te.Tensor:
    lane = te.reduce_axis((0, rows.shape[-1]), name="lane")
    return te.compute(rows.shape[:-1], lambda *at: reduction(of(rows(*at, lane)), axis=lane), name="reduced")


def _factor(x: te.Tensor, table: te.Tensor, exponent: int, is_root: bool) -> tuple[te.Tensor, te.Tensor]:
    """Mantissa and shift of 1 / x, or of 1 / sqrt(x)."""
    bit = te.reduce_axis((0, _SUM_BITS), name="bit")

    def length(*at: Any) -> Any:
        is_set = te.max(x(*at), int64(1)) >= (int64(1) << bit.var.astype("int64"))
        return te.sum(tirx.Select(is_set, int64(1), int64(0)), axis=bit)

    lengths = te.compute(x.shape, length, name="length")

    def mantissa(*at: Any) -> Any:
        value, e = te.max(x(*at), int64(1)), lengths(*at) - int64(MANTISSA_BITS + 1)
        n = tirx.Select(e >= int64(0), value >> te.max(e, int64(0)), value << te.max(-e, int64(0)))
        place = n - int64(1 << MANTISSA_BITS)
        if is_root:
            odd = e & int64(1)
            place = (place >> int64(1)) + odd * int64(1 << (MANTISSA_BITS - 1))
        argument = place - int64(1 << (TABLE_INPUT_BITS - 1))
        found = _looked_up(argument, table, None if is_root else 1)
        return te.max(te.min(found, int64((1 << FACTOR_BITS) - 1)), int64(0))

    def shift(*at: Any) -> Any:
        e = lengths(*at) - int64(MANTISSA_BITS + 1)
        doublings = e >> int64(1) if is_root else e
        return te.max(te.min(doublings + int64(exponent), int64(62)), int64(0))

    return te.compute(x.shape, mantissa, name="mantissa"), te.compute(x.shape, shift, name="shift")


def _scaled(rows: te.Tensor, mantissa: te.Tensor, shift: te.Tensor) -> te.Tensor:
    def value(*at: Any) -> Any:
        row = at[:-1]
        return saturated(round_shift(rows(*at) * mantissa(*row), shift(*row)))

    return te.compute(rows.shape, value, name="accumulator")


def _looked_up(y: Any, table: te.Tensor, which: int | None) -> Any:
    """The value of a table [segments, 2], or of number `which` of several, for an int64 expression."""
    low = -(1 << (TABLE_INPUT_BITS - 1))
    place = te.max(te.min(y, int64(-low - 1)), int64(low)) - int64(low)
    segment, inside = place >> int64(_SEGMENT_BITS), place & int64((1 << _SEGMENT_BITS) - 1)
    at = (segment,) if which is None else (which, segment)
    value, slope = (table(*at, column).astype("int64") for column in (0, 1))
    return value + round_shift(slope * inside, int64(_SEGMENT_BITS))
