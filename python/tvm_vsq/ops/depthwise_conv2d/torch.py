"""Depthwise convolutions in PyTorch: in fp32, and on vectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tvm_vsq.ops.conv2d.torch import TORCH as CONV2D
from tvm_vsq.torch_graph.dot_products import exact_float32
from tvm_vsq.torch_graph.layer_form import LayerForm, Product
from tvm_vsq.torch_graph.spatial import integers, padded
from tvm_vsq.torch_graph.vectors import scaled_elements


def _on_vectors(call: Any, peak: int, w: Tensor) -> Product:
    """Integers in floating point, exact while magnitudes sum up to 2^24 at most, or 2^53 in float64."""
    kernel, strides, padding, dilation = (
        integers(call.attrs[name]) for name in ("kernel", "strides", "padding", "dilation")
    )
    channels = len(w)
    filters = scaled_elements(w, torch.float64).flatten(-2)[:, None, :, : kernel[1]].contiguous()
    fits = float(filters.abs().sum((1, 2, 3)).max()) * peak <= 2**24

    def accumulate(x: Tensor) -> Tensor:
        with exact_float32() as is_exact:
            dtype = torch.float32 if fits and is_exact else torch.float64
            values = scaled_elements(x, dtype).flatten(-2)[..., :channels]
            image, symmetric = padded(values.permute(0, 3, 1, 2), padding)
            sums = F.conv2d(image, filters.to(dtype), None, strides, symmetric, dilation, channels)
        return sums.permute(0, 2, 3, 1).to(torch.int64)

    return accumulate


TORCH = LayerForm(CONV2D.fp32, _on_vectors)
