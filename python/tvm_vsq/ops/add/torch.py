"""Sums in PyTorch: in fp32, and on vectors."""

from __future__ import annotations

from typing import Any

import torch

from tvm_vsq.torch_graph.layer_form import LayerForm, Product
from tvm_vsq.torch_graph.vectors import scaled_elements


def _on_vectors(call: Any, _peak: int) -> Product:
    channels = int(call.attrs["channels"])
    # element * scale has at most 18 bits: exact in float32
    return lambda x: scaled_elements(x, torch.float32).flatten(-2)[..., :channels].to(torch.int64)


TORCH = LayerForm(lambda _call: torch.add, _on_vectors)
