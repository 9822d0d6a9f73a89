"""Products of two tensors in PyTorch: in fp32, and on vectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tvm_vsq.torch_graph.layer_form import LayerForm, Product
from tvm_vsq.torch_graph.vectors import scaled_elements


def _on_vectors(call: Any, _peak: int) -> Product:
    channels, rounding = int(call.attrs["channels"]), int(call.attrs["rounding"])

    def accumulate(x: Tensor, other: Tensor) -> Tensor:
        product = scaled_elements(x, torch.int64) * scaled_elements(other, torch.int64)
        total = product.flatten(-2)[..., :channels] + ((1 << rounding) >> 1)
        return total.bitwise_right_shift(torch.tensor(rounding))

    return accumulate


TORCH = LayerForm(lambda _call: torch.mul, _on_vectors)
