"""Normalization by the root of mean squares in PyTorch: in fp32, and on integers."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from tvm_vsq.ops.layer_norm.torch import on_rows
from tvm_vsq.torch_graph.layer_form import LayerForm, Operator


def _fp32(call: Any) -> Operator:
    epsilon = float(call.attrs.epsilon)

    def norm(x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, list(x.shape[-1:]), weight, epsilon)

    return norm


TORCH = LayerForm(_fp32, on_rows, is_row_wise=True)
