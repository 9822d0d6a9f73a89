"""Windows of an image of vectors: the attributes and shapes that operators on them share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm_vsq.relax_ops.checks import OperatorError, attribute, integers, static

_GEOMETRY = {"strides": (2, 1), "padding": (4, 0), "dilation": (2, 1)}
"""How many integers each attribute has, and the least of them."""

_SIZE = (2, 1)
"""The same of the attribute with the extents of a window, whose name is an operator's own."""


def window_geometry(where: str, given: Mapping[str, Any], size: str = "pool_size") -> dict[str, list[int]]:
    """The attributes by name. OperatorError for one that is missing or is not as it should be."""
    return {
        name: integers(where, name, attribute(where, given, name), count, low)
        for name, (count, low) in {size: _SIZE, **_GEOMETRY}.items()
    }


def window_pixels(
    where: str, x: list[Any], geometry: Mapping[str, list[int]], size: str = "pool_size", what: str = "window"
) -> list[Any]:
    """[N, OH, OW] of the result, of an `x` [N, H, W, ...]. OperatorError for a window beyond the image."""
    pixels = [x[0]]
    for axis, name in ((0, "height"), (1, "width")):
        reach = geometry["dilation"][axis] * (geometry[size][axis] - 1) + 1
        before, after = geometry["padding"][axis], geometry["padding"][axis + 2]
        extent = static(where, f"x's {name}", x[axis + 1]) + before + after
        if reach > extent:
            raise OperatorError(
                f"{where}: the dilated {what}'s {name} {reach} exceeds the padded input's {extent}"
            )
        pixels.append((extent - reach) // geometry["strides"][axis] + 1)
    return pixels
