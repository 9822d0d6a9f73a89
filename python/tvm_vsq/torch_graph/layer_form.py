"""What torch has to know of a layer's operator: the aspect `torch` of `registry`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from tvm_vsq.tvm_compat import Call

Operator = Callable[..., Any]

Product = Callable[..., Tensor]
"""From vectors int16[..., CV, V+1], one tensor of them or two, to accumulators int64[..., K]."""


@dataclass(frozen=True)
class LayerForm:
    """fp32: from a call in the fp32 graph, the function of its arguments, None if torch has no such.

    on_vectors: from a vsq.* call, the largest |element * scale| of its input, and its weights
    int16[K, ..., CV, V+1] if it has any, its accumulators. is_row_wise: these are of rows int32[..., K], its
    weights are tables, and what would be a residual is added to the rows.
    """

    fp32: Callable[[Call], Operator | None]
    on_vectors: Callable[..., Product]
    is_row_wise: bool = False
