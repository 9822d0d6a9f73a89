"""Convolution, pooling and padding: operators with a layout.

Tensors are permuted to NCHW and back, which are views: torch recognises NHWC memory by its strides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tvm_vsq.tvm_compat import Call

Operator = Callable[..., Any]


def conv2d(call: Call) -> Operator | None:
    """relax.nn.conv2d in any plain layout, with any groups."""
    attrs = call.attrs
    layouts = [str(attrs.data_layout), str(attrs.kernel_layout), str(attrs.out_layout)]
    if [sorted(layout) for layout in layouts] != [sorted("NCHW"), sorted("OIHW"), sorted("NCHW")]:
        return None
    into, kernel, back = _order(layouts[0], "NCHW"), _order(layouts[1], "OIHW"), _order("NCHW", layouts[2])
    strides, dilation = _integers(attrs.strides), _integers(attrs.dilation)
    padding, groups = _integers(attrs.padding), int(attrs.groups)

    def run(x: Tensor, w: Tensor) -> Tensor:
        x, symmetric = padded(x.permute(into), padding)
        y = F.conv2d(x, w.permute(kernel), None, strides, symmetric, dilation, groups)
        return y.permute(back)

    return run


def max_pool2d(call: Call) -> Operator | None:
    """relax.nn.max_pool2d; what is outside the image never wins."""
    attrs, padding = call.attrs, _integers(call.attrs.padding)
    if bool(attrs.ceil_mode):
        return None  # torch drops windows that start in the padding
    size, strides, dilation = (_integers(attrs[name]) for name in ("pool_size", "strides", "dilation"))

    def run(x: Tensor) -> Tensor:
        outside = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
        return F.max_pool2d(F.pad(x, _widths(padding), value=outside), size, strides, 0, dilation)

    return _in_nchw(call, run)


def avg_pool2d(call: Call) -> Operator | None:
    """relax.nn.avg_pool2d; padding that is not counted has to be symmetric."""
    attrs, padding = call.attrs, _integers(call.attrs.padding)
    counted = bool(attrs.count_include_pad) or not any(padding)
    if bool(attrs.ceil_mode) or set(_integers(attrs.dilation)) != {1}:
        return None
    if not counted and padding[:2] != padding[2:]:
        return None
    size, strides = _integers(attrs.pool_size), _integers(attrs.strides)

    def run(x: Tensor) -> Tensor:
        x, symmetric = padded(x, padding)
        return F.avg_pool2d(x, size, strides, symmetric, count_include_pad=counted)

    return _in_nchw(call, run)


def adaptive_avg_pool2d(call: Call) -> Operator | None:
    """relax.nn.adaptive_avg_pool2d to a given size."""
    if call.attrs.output_size is None:
        return None
    height, width = _integers(call.attrs.output_size)
    return _in_nchw(call, lambda x: F.adaptive_avg_pool2d(x, (height, width)))


def pad(call: Call) -> Operator | None:
    """relax.nn.pad with a constant."""
    if str(call.attrs.pad_mode) != "constant":
        return None
    pairs = _integers(call.attrs.pad_width)
    value = float(call.attrs.pad_value)
    # torch counts axes from the last
    widths = [width for axis in range(len(pairs) - 2, -1, -2) for width in pairs[axis : axis + 2]]
    return lambda x: F.pad(x, widths, value=value)


def _in_nchw(call: Call, run: Callable[[Tensor], Tensor]) -> Operator | None:
    layout, out = str(call.attrs.layout), str(call.attrs.out_layout or call.attrs.layout)
    if sorted(layout) != sorted("NCHW") or sorted(out) != sorted("NCHW"):
        return None
    into, back = _order(layout, "NCHW"), _order("NCHW", out)
    return lambda x: run(x.permute(into)).permute(back)


def padded(x: Tensor, padding: Sequence[int]) -> tuple[Tensor, list[int]]:
    """NCHW `x` with the zeros that the operator itself cannot add, and the symmetric padding that it can.

    padding: top, left, bottom, right.
    """
    if padding[:2] == padding[2:]:
        return x, list(padding[:2])
    return F.pad(x, _widths(padding)), [0, 0]


def _widths(padding: Sequence[int]) -> list[int]:
    top, left, bottom, right = padding
    return [left, right, top, bottom]


def _order(source: str, target: str) -> list[int]:
    return [source.index(axis) for axis in target]


def _integers(values: Any) -> list[int]:
    return [int(value) for value in values]
