"""A vector tensor as accumulators in TE (docs/numerics.md, section 4)."""

from __future__ import annotations

from typing import Any

from tvm import te


def unpack_te(x: te.Tensor, channels: int) -> te.Tensor:
    """`x` int16[..., CV, V+1] to int64[..., channels]: element times scale."""
    size = int(x.shape[-1]) - 1

    def value(*at: Any) -> Any:
        *row, channel = at
        vector = (*row, channel // size)
        return x(*vector, channel % size).astype("int64") * x(*vector, size).astype("int64")

    return te.compute([*x.shape[:-2], channels], value, name="accumulator")
