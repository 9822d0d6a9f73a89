"""The maximum pools of an fp32 graph that have an accelerator form."""

from __future__ import annotations

from typing import Any

from tvm_vsq.graph import static_shape
from tvm_vsq.network import Source, Window
from tvm_vsq.network.facts import Elements, Facts, if_first
from tvm_vsq.tvm_compat import Var


def window(call: Any) -> Window:
    """The window of a call on NHWC; rows and columns that ceil_mode adds reach into padding."""
    attrs = call.attrs
    kernel, strides, padding, dilation = (
        [int(extent) for extent in getattr(attrs, name)]
        for name in ("pool_size", "strides", "padding", "dilation")
    )
    before, after = padding[:2], list(padding[2:])
    for axis in (0, 1):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        extent, results = static_shape(call.args[0])[1 + axis], int(call.ty.shape[1 + axis])
        after[axis] = max(after[axis], (results - 1) * strides[axis] + reach - before[axis] - extent)
    return Window((kernel[0], kernel[1]), strides, [*before, *after], dilation)


def _refusal(call: Any, _has_constant_weights: bool) -> str:
    if not isinstance(call.args[0], Var):
        return "the input is a constant"
    layouts = (str(call.attrs.layout), str(call.attrs.out_layout or call.attrs.layout))
    if layouts != ("NHWC", "NHWC"):
        return f"layouts {'/'.join(layouts)} instead of NHWC/NHWC"
    return "" if _has_pixels(call, window(call)) else "a window holds nothing but padding"


def _has_pixels(call: Any, found: Window) -> bool:
    """Whether every window holds a row and a column of the image."""
    for axis in (0, 1):
        extent, results = static_shape(call.args[0])[1 + axis], int(call.ty.shape[1 + axis])
        for result in range(results):
            first = result * found.strides[axis] - found.padding[axis]
            taps = range(first, first + found.dilation[axis] * found.kernel[axis], found.dilation[axis])
            if not any(0 <= tap < extent for tap in taps):
                return False
    return True


SOURCE = Source(
    relax="relax.nn.max_pool2d",
    word="max_pool2d",
    refusal=_refusal,
    window=window,
    facts=Facts(
        elements=Elements.CHOSEN,
        nonnegative=if_first,
        channelwise=lambda call: str(call.attrs.layout) == "NHWC",
    ),
)
