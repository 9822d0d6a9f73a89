"""Products of two vector tensors in TE (docs/numerics.md, section 4)."""

from __future__ import annotations

from typing import Any

from tvm import te, tirx


def multiply_te(x: te.Tensor, other: te.Tensor, channels: int, rounding: int) -> te.Tensor:
    """`x` and `other` int16[..., CV, V+1] to int64[..., channels]; `other` is repeated where it has 1."""
    size = int(x.shape[-1]) - 1

    def unpacked(tensor: te.Tensor, row: Any, channel: Any) -> Any:
        vector = (*row, channel // size)
        return tensor(*vector, channel % size).astype("int64") * tensor(*vector, size).astype("int64")

    def value(*at: Any) -> Any:
        *row, channel = at
        repeated = [0 if int(extent) == 1 else i for i, extent in zip(row, other.shape[:-2], strict=True)]
        product = unpacked(x, row, channel) * unpacked(other, repeated, channel)
        half = tirx.const((1 << rounding) >> 1, "int64")
        return (product + half) >> tirx.const(rounding, "int64")

    return te.compute([*x.shape[:-2], channels], value, name="accumulator")
