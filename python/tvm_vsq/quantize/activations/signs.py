"""Proves from the structure of the network that a tensor has no negative element."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.graph import constant_array, definitions, is_constant, op_name
from tvm_vsq.network import facts_of
from tvm_vsq.tvm_compat import Tuple, Var


class Signs:
    """Answers for the variables of one function; a parameter may always be negative."""

    def __init__(self, function: relax.Function) -> None:
        self._values = definitions(function)
        self._known: dict[Var, bool] = {}

    def is_nonnegative(self, expr: Any) -> bool:
        """Whether no element of `expr` can be negative, whatever the network's inputs are."""
        if is_constant(expr):
            return bool((constant_array(expr) >= 0).all())
        if isinstance(expr, Tuple):
            return all(self.is_nonnegative(field) for field in expr.fields)
        if not isinstance(expr, Var) or expr not in self._values:
            return False
        if expr not in self._known:
            self._known[expr] = self._of_value(self._values[expr])
        return self._known[expr]

    def _of_value(self, value: Any) -> bool:
        if isinstance(value, relax.TupleGetItem):
            return self.is_nonnegative(value.tuple_value)
        if not op_name(value):
            return self.is_nonnegative(value)
        return facts_of(value).nonnegative(value, self.is_nonnegative)
