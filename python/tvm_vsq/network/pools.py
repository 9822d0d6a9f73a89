"""What calls of pooling operators in the fp32 graph have in common."""

from __future__ import annotations

from typing import Any

from tvm_vsq.graph import static_shape
from tvm_vsq.network.source import Window
from tvm_vsq.tvm_compat import Var


def image_extents(call: Any) -> list[tuple[int, int]]:
    """How many rows, and columns, there are of the image and of the result, in whatever layout."""
    shapes = static_shape(call.args[0]), tuple(int(extent) for extent in call.ty.shape)
    layouts = str(call.attrs.layout), str(call.attrs.out_layout or call.attrs.layout)
    given, taken = (
        [shape[layout.index(axis)] for axis in "HW"] for shape, layout in zip(shapes, layouts, strict=True)
    )
    return list(zip(given, taken, strict=True))


def pool_window(call: Any) -> Window:
    """The window of a call; rows and columns that ceil_mode adds reach into padding."""
    attrs = call.attrs
    kernel, strides, padding, dilation = (
        [int(extent) for extent in getattr(attrs, name)]
        for name in ("pool_size", "strides", "padding", "dilation")
    )
    before, after = padding[:2], list(padding[2:])
    for axis, (extent, results) in enumerate(image_extents(call)):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        after[axis] = max(after[axis], (results - 1) * strides[axis] + reach - before[axis] - extent)
    return Window((kernel[0], kernel[1]), strides, [*before, *after], dilation)


def pool_refusal(call: Any) -> str:
    """Why a call has no accelerator form, whatever it makes of a window; "" if nothing speaks against it."""
    if not isinstance(call.args[0], Var):
        return "the input is a constant"
    layouts = (str(call.attrs.layout), str(call.attrs.out_layout or call.attrs.layout))
    return "" if layouts == ("NHWC", "NHWC") else f"layouts {'/'.join(layouts)} instead of NHWC/NHWC"


def taps_inside(call: Any, borders: tuple[int, int, int, int] = (0, 0, 0, 0)) -> tuple[list[int], list[int]]:
    """For each row and each column of the result, how many of the window's lie in the image, or in such a
    border (top, left, bottom, right) around it.
    """
    found, counts = pool_window(call), []
    for axis, (extent, results) in enumerate(image_extents(call)):
        first = (result * found.strides[axis] - found.padding[axis] for result in range(results))
        reach, step = found.dilation[axis] * found.kernel[axis], found.dilation[axis]
        inside = range(-borders[axis], extent + borders[axis + 2])
        counts.append([sum(tap in inside for tap in range(at, at + reach, step)) for at in first])
    rows, columns = counts
    return rows, columns
