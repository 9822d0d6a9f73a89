"""Pairs of numbers turned in PyTorch: in fp32, and on integers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tvm_vsq.torch_graph.layer_form import LayerForm, Product
from tvm_vsq.torch_graph.rows import rotate


def _fp32(x: Tensor, turns: Tensor) -> Tensor:
    cos, sin = turns[..., None, :].chunk(2, -1)
    a, b = x.reshape(*x.shape[:-1], -1, turns.shape[-1]).chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)


def _on_rows(_call: Any, _peak: int) -> Product:
    return lambda x, factors: rotate(x.long(), factors.long())


TORCH = LayerForm(lambda _call: _fp32, _on_rows, is_row_wise=True)
