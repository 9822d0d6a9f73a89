"""Products of two stacks of matrices in PyTorch: in fp32, and on vectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tvm_vsq.torch_graph.dot_products import exact_float32
from tvm_vsq.torch_graph.layer_form import LayerForm, Product
from tvm_vsq.torch_graph.vectors import scaled_elements


def _on_vectors(call: Any, _peak: int) -> Product:
    shift, bits = int(call.attrs["product_shift"]), int(call.attrs["product_bits"])
    if shift == 0:
        # below 2^46, and each product of four factors below 2^36: exact in float64
        return lambda x, other: (
            scaled_elements(x, torch.float64).flatten(-2)
            @ scaled_elements(other, torch.float64).flatten(-2).mT
        ).to(torch.int64)
    limit = float((1 << bits) - 1) if bits else torch.inf

    def accumulate(x: Tensor, other: Tensor) -> Tensor:
        total = torch.zeros((*x.shape[:-2], other.shape[-3]), dtype=torch.float64)
        for v in range(x.shape[-2]):
            left, right = x[..., v, :], other[..., v, :]
            with exact_float32() as is_exact:
                dtype = torch.float32 if is_exact else torch.float64
                dots = left[..., :-1].to(dtype) @ right[..., :-1].to(dtype).mT
            scales = left[..., -1:].to(torch.float32) * right[..., -1].to(torch.float32)[..., None, :]
            rounded = torch.floor((scales + 2.0 ** (shift - 1)) * 2.0**-shift).clamp_(max=limit)
            total.addcmul_(rounded.to(torch.float64), dots.to(torch.float64))
        return total.to(torch.int64)

    return accumulate


TORCH = LayerForm(lambda _call: torch.matmul, _on_vectors)
