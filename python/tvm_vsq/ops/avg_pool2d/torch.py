"""Average pooling in PyTorch: in fp32, and on vectors."""

from __future__ import annotations

from math import lcm
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tvm_vsq.network.pools import image_extents, pool_window
from tvm_vsq.ops.avg_pool2d.source import counted
from tvm_vsq.torch_graph.layer_form import LayerForm, Operator, Product
from tvm_vsq.torch_graph.spatial import in_nchw, integers, widths
from tvm_vsq.torch_graph.vectors import scaled_elements


def _fp32(call: Any) -> Operator | None:
    """The sum of each window over what it counts."""
    attrs, padding = call.attrs, integers(pool_window(call).padding)
    size, strides, dilation = (integers(attrs[name]) for name in ("pool_size", "strides", "dilation"))
    if set(dilation) != {1}:
        return None
    image = [extent for extent, _ in image_extents(call)]
    counts = _counts(image, size, strides, padding, dilation, counted(call))

    def run(x: Tensor) -> Tensor:
        sums = F.avg_pool2d(F.pad(x, widths(padding)), size, strides, divisor_override=1)
        return sums / counts.to(sums)

    return in_nchw(call, run)


def _counts(image: Any, size: Any, strides: Any, padding: Any, dilation: Any, border: Any) -> Tensor:
    """int64[OH, OW]: what each window counts. `border`, of the `padding`, counts as much as the image."""
    ones = F.pad(torch.ones(tuple(image), dtype=torch.int64), widths(border), value=1)
    beyond = [wide - narrow for wide, narrow in zip(padding, border, strict=True)]
    return _sums(F.pad(ones, widths(beyond)), size, strides, dilation)


def _sums(x: Tensor, size: Any, strides: Any, dilation: Any) -> Tensor:
    """Over windows of the last two axes."""
    for axis in (0, 1):
        reach = dilation[axis] * (size[axis] - 1) + 1
        x = x.unfold(axis - 2, reach, strides[axis])[..., :: dilation[axis]].sum(-1)
    return x


def _on_vectors(call: Any, _peak: int) -> Product:
    size, strides, padding, dilation, border = (
        integers(call.attrs[name]) for name in ("pool_size", "strides", "padding", "dilation", "counted")
    )
    channels = int(call.attrs["channels"])

    def accumulate(x: Tensor) -> Tensor:
        values = scaled_elements(x, torch.int64).flatten(-2)[..., :channels].movedim(-1, -3)
        counts = _counts(values.shape[-2:], size, strides, padding, dilation, border)
        divisor = lcm(*map(int, counts.flatten()))
        sums = _sums(F.pad(values, widths(padding)), size, strides, dilation)
        return (sums * (divisor // counts)).movedim(-3, -1)

    return accumulate


TORCH = LayerForm(_fp32, _on_vectors)
