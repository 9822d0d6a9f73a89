"""Proves from the structure of the network that a tensor has no negative element."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.graph import constant_array, definitions, is_constant, op_name
from tvm_vsq.tvm_compat import Tuple, Var

_ALWAYS = frozenset(
    "relax." + name for name in ["abs", "exp", "nn.relu", "nn.softmax", "sigmoid", "sqrt", "square"]
)
_IF_FIRST_OPERAND_IS = frozenset(
    "relax." + name
    for name in [
        "astype",
        "broadcast_to",
        "expand_dims",
        "flatten",
        "max",
        "mean",
        "nn.adaptive_avg_pool2d",
        "nn.avg_pool2d",
        "nn.max_pool2d",
        "permute_dims",
        "repeat",
        "reshape",
        "split",
        "squeeze",
        "strided_slice",
        "sum",
    ]
)
_IF_ALL_OPERANDS_ARE = frozenset(
    "relax." + name for name in ["add", "concat", "minimum", "multiply", "stack"]
)


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
        name = op_name(value)
        if not name:
            return self.is_nonnegative(value)
        if name == "relax.clip":
            return float(value.args[1].value) >= 0
        if name == "relax.maximum":
            return any(self.is_nonnegative(arg) for arg in value.args)
        if name in _IF_FIRST_OPERAND_IS:
            return self.is_nonnegative(value.args[0])
        return name in _ALWAYS or (
            name in _IF_ALL_OPERANDS_ARE and all(self.is_nonnegative(a) for a in value.args)
        )
