"""Functions that are looked up, in torch (docs/numerics.md, section 5)."""

from __future__ import annotations

from torch import Tensor


def look_up(y: Tensor, table: Tensor) -> Tensor:
    """Values of a table int64[segments, 2] (value, slope) for arguments int64, taken as 16 bits."""
    places = y.clamp(-(1 << 15), (1 << 15) - 1) + (1 << 15)
    width = (1 << 16) // len(table)
    segments = places.div(width, rounding_mode="floor")
    value, slope = table[segments].unbind(-1)
    return value + (2 * slope * (places - segments * width) + width).div(2 * width, rounding_mode="floor")
