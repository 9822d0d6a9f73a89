"""The vsq.* operators that are layers: the aspect `relax` of `registry`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tvm_vsq.graph import op_name
from tvm_vsq.registry import NAMES, aspects
from tvm_vsq.tvm_compat import Call


@dataclass(frozen=True)
class LayerOperator:
    """An operator on vectors: (x[, other][, w], params[, residual or table]), with attributes of `Epilogue`.

    w, params and table are constants, and other a second activation. from_source: its call, from the fp32
    call that it stands for, from operands, and from the attributes that all such operators share. is_flat:
    all axes but that of channels are one to it. on_rows: x is int32, and tables are in the place of w.
    """

    has_weights: bool
    from_source: Callable[[Any, Sequence[Any], dict[str, Any]], Call]
    is_flat: bool = False
    has_other: bool = False
    on_rows: bool = False

    @property
    def params(self) -> int:
        """Which operand the parameters are."""
        return 1 + self.has_other + self.has_weights


@cache
def layer_operators() -> dict[str, LayerOperator]:
    """By their name in `registry`; the first call registers them with TVM."""
    return aspects("relax", LayerOperator)


def layer_operator(call: Any) -> LayerOperator | None:
    """Of a call; None if that is no layer on vectors."""
    operator = NAMES.get(op_name(call))
    return None if operator is None else layer_operators()[operator]
