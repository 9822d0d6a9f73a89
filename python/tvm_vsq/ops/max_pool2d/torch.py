"""Maximum pooling in PyTorch: in fp32, and on vectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tvm_vsq.network.pools import pool_window
from tvm_vsq.torch_graph.layer_form import LayerForm, Operator, Product
from tvm_vsq.torch_graph.spatial import in_nchw, integers, widths
from tvm_vsq.torch_graph.vectors import scaled_elements


def _fp32(call: Any) -> Operator | None:
    """What is outside the image never wins."""
    attrs, padding = call.attrs, integers(call.attrs.padding)
    if bool(attrs.ceil_mode):  # torch would drop windows that start in the padding
        padding = integers(pool_window(call).padding)
    size, strides, dilation = (integers(attrs[name]) for name in ("pool_size", "strides", "dilation"))

    def run(x: Tensor) -> Tensor:
        outside = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
        return F.max_pool2d(F.pad(x, widths(padding), value=outside), size, strides, 0, dilation)

    return in_nchw(call, run)


def _on_vectors(call: Any, _peak: int) -> Product:
    size, strides, padding, dilation = (
        integers(call.attrs[name]) for name in ("pool_size", "strides", "padding", "dilation")
    )
    channels = int(call.attrs["channels"])

    def accumulate(x: Tensor) -> Tensor:
        # element * scale has at most 18 bits: exact in float32
        values = scaled_elements(x, torch.float32).flatten(-2)[..., :channels].movedim(-1, -3)
        values = F.pad(values, widths(padding), value=-torch.inf)
        return F.max_pool2d(values, size, strides, 0, dilation).movedim(-3, -1).to(torch.int64)

    return accumulate


TORCH = LayerForm(_fp32, _on_vectors)
