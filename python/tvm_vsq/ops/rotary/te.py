"""Pairs of numbers of rows turned, in TE (docs/numerics.md, section 7)."""

from __future__ import annotations

from typing import Any

from tvm import te, tirx

from tvm_vsq.formats.rows import FACTOR_BITS
from tvm_vsq.relax_ops.rows_te import int64, round_shift, saturated


def rotate_te(rows: te.Tensor, factors: te.Tensor) -> te.Tensor:
    """Accumulators int64[..., heads * D] of `rows` int32[..., heads * D]; `factors` int32[..., D], with 1
    where it is repeated.
    """
    size = int(factors.shape[-1])
    half = size // 2

    def times(value: Any, row: list[Any], which: Any) -> Any:
        place = [0 if int(extent) == 1 else i for i, extent in zip(row, factors.shape[:-1], strict=True)]
        factor = factors(*place, which).astype("int64")
        mantissa = factor & int64((1 << FACTOR_BITS) - 1)
        shift = (factor >> int64(FACTOR_BITS)) & int64(63)
        return saturated(round_shift(value * mantissa, shift))

    def value(*at: Any) -> Any:
        *row, channel = at
        is_first, pair = channel % size < half, channel % half
        partner = tirx.Select(is_first, channel + half, channel - half)
        own, other = (rows(*row, each).astype("int64") for each in (channel, partner))
        by_cosine = saturated(times(own, row, pair) - own)
        by_sine = times(other, row, pair + half)
        first = saturated(saturated(by_cosine + other) - by_sine)
        second = saturated(saturated(by_cosine - other) + by_sine)
        return tirx.Select(is_first, first, second)

    return te.compute(rows.shape, value, name="accumulator")
