"""Convolution, pooling and padding: operators with a layout.

Tensors are permuted to NCHW and back, which are views: torch recognises NHWC memory by its strides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from tvm_vsq.tvm_compat import Call

Operator = Callable[..., Any]


def adaptive_average(call: Call) -> Operator | None:
    """relax.nn.adaptive_avg_pool2d to a given size."""
    if call.attrs.output_size is None:
        return None
    height, width = integers(call.attrs.output_size)
    return in_nchw(call, lambda x: F.adaptive_avg_pool2d(x, (height, width)))


def pad(call: Call) -> Operator | None:
    """relax.nn.pad with a constant."""
    if str(call.attrs.pad_mode) != "constant":
        return None
    pairs = integers(call.attrs.pad_width)
    value = float(call.attrs.pad_value)
    # torch counts axes from the last
    widths = [width for axis in range(len(pairs) - 2, -1, -2) for width in pairs[axis : axis + 2]]
    return lambda x: F.pad(x, widths, value=value)


def in_nchw(call: Call, run: Callable[[Tensor], Tensor]) -> Operator | None:
    """`run`, a function of NCHW, for the layouts of `call`; None if they are no plain ones."""
    layout, out = str(call.attrs.layout), str(call.attrs.out_layout or call.attrs.layout)
    if sorted(layout) != sorted("NCHW") or sorted(out) != sorted("NCHW"):
        return None
    into, back = order(layout, "NCHW"), order("NCHW", out)
    return lambda x: run(x.permute(into)).permute(back)


def padded(x: Tensor, padding: Sequence[int]) -> tuple[Tensor, list[int]]:
    """NCHW `x` with the zeros that the operator itself cannot add, and the symmetric padding that it can.

    padding: top, left, bottom, right.
    """
    if padding[:2] == padding[2:]:
        return x, list(padding[:2])
    return F.pad(x, widths(padding)), [0, 0]


def widths(padding: Sequence[int]) -> list[int]:
    """padding (top, left, bottom, right) as torch counts it, from the last axis."""
    top, left, bottom, right = padding
    return [left, right, top, bottom]


def order(source: str, target: str) -> list[int]:
    """The permutation that brings the layout `source` to `target`."""
    return [source.index(axis) for axis in target]


def integers(values: Any) -> list[int]:
    """An attribute's list, as Python has them."""
    return [int(value) for value in values]
