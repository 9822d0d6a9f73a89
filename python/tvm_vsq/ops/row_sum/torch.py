"""Sums of 32-bit numbers in PyTorch: in fp32, and on integers."""

from __future__ import annotations

from typing import Any

import torch

from tvm_vsq.torch_graph.layer_form import LayerForm, Product
from tvm_vsq.torch_graph.rows import total


def _on_rows(_call: Any, _peak: int) -> Product:
    return total


TORCH = LayerForm(lambda _call: torch.add, _on_rows, is_row_wise=True)
