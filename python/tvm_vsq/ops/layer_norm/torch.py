"""Layer normalization in PyTorch: in fp32, and on integers."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from tvm_vsq.ops.layer_norm.relax import normalization_of
from tvm_vsq.torch_graph.layer_form import LayerForm, Operator, Product
from tvm_vsq.torch_graph.rows import normalize, total


def _fp32(call: Any) -> Operator:
    attrs = call.attrs
    epsilon, center, scale = float(attrs.epsilon), bool(attrs.center), bool(attrs.scale)

    def norm(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], gamma if scale else None, beta if center else None, epsilon)

    return norm


def on_rows(call: Any, _peak: int, table: Tensor) -> Product:
    """The accumulators of rows, of another tensor added to them, too."""
    how = normalization_of(call.attrs)
    return lambda x, *other: normalize(total(x, *other), table.long(), how)


TORCH = LayerForm(_fp32, on_rows, is_row_wise=True)
