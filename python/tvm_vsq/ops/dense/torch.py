"""Matrix products in PyTorch: in fp32, and on vectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tvm_vsq.torch_graph.dot_products import vector_product
from tvm_vsq.torch_graph.layer_form import LayerForm, Product


def _on_vectors(call: Any, peak: int, w: Tensor) -> Product:
    return vector_product(call, peak, w, None)


TORCH = LayerForm(lambda _call: torch.matmul, _on_vectors)
