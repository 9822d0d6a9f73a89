"""Softmax in PyTorch: in fp32, and on integers."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from tvm_vsq.torch_graph.layer_form import LayerForm, Product
from tvm_vsq.torch_graph.rows import probabilities, total


def _on_rows(call: Any, _peak: int, tables: Tensor) -> Product:
    shift, exponent = int(call.attrs["argument_shift"]), int(call.attrs["exponent"])
    wide = tables.long()
    return lambda x, *other: probabilities(total(x, *other), wide, shift, exponent, masked=bool(other))


TORCH = LayerForm(lambda _call: lambda x: F.softmax(x, -1), _on_rows, is_row_wise=True)
