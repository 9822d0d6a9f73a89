"""Attention of torch as products, one scale, one mask and a softmax."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_LEAST = torch.finfo(torch.float32).min
"""What masks with, in place of minus infinity: no sum of it and a score is NaN, and its exp is 0, too."""


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """As torch.nn.functional.scaled_dot_product_attention says, for inference.

    torch's own decomposition takes the root of the scale to both operands, and guards each score. A row that
    is masked as a whole gives zeros: that is a matter of the mask alone, and so asked of it, behind the
    products; for a mask that is constant it is folded away.
    """
    if enable_gqa:
        key, value = (each.repeat_interleave(query.shape[-3] // each.shape[-3], -3) for each in (key, value))
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = torch.matmul(query, key.transpose(-2, -1)) * factor
    if is_causal:
        mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
    if mask is None:
        return torch.matmul(torch.softmax(scores, -1), value)
    added = torch.where(mask, 0.0, _LEAST) if mask.dtype == torch.bool else mask.clamp(min=_LEAST)
    result = torch.matmul(torch.softmax(scores + added, -1), value)
    passed = mask if mask.dtype == torch.bool else mask > -math.inf
    return torch.where(passed.to(torch.float32).sum(-1, keepdim=True) > 0, result, 0.0)
