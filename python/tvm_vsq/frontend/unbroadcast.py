"""Removes broadcasts that repeat nothing, and those of weights, which hide linear layers; moves others on."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.graph import (
    Rebuilder,
    constant,
    constant_array,
    is_constant,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.network import facts_of
from tvm_vsq.tvm_compat import Call, IRModule, Var

_REDUCTIONS = ("relax.max", "relax.mean", "relax.min", "relax.sum")
_CHOICES = {
    f"relax.{name}"
    for name in (
        "astype",
        "equal",
        "greater",
        "greater_equal",
        "less",
        "less_equal",
        "logical_and",
        "logical_not",
    )
} | {"relax.logical_or", "relax.not_equal", "relax.where"}
"""Elementwise, too, and what masks are made by."""


def unbroadcast(module: IRModule) -> IRModule:
    """Drop broadcast_to where what reads it repeats as well, and repeated slices of constant weights.

    An elementwise operator on tensors that are all repeated is computed before: a mask stays as small as the
    model is given it.

    PyTorch's attention layers arrive as a product with [B, C, K] weights, the same [C, K] B times; constants
    must have been folded before.
    """
    return replace_main(module, _Unbroadcast(module["main"]).run())


class _Unbroadcast(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        if name == "relax.broadcast_to" and static_shape(value.args[0]) == static_shape(var):
            return value.args[0]
        if facts_of(value).elementwise == 2 or name in _CHOICES:
            return self._elementwise(value, static_shape(var))
        if name in _REDUCTIONS:
            return self._reduction(value, static_shape(var))
        if name == "relax.matmul" and is_constant(value.args[1]) and len(value.args[1].ty.shape) > 2:
            weight = constant_array(value.args[1])
            rows = weight.reshape(-1, *weight.shape[-2:])
            x = value.args[0]
            keeps_shape = static_shape(x)[:-1] == static_shape(var)[:-1]
            if keeps_shape and np.array_equal(rows, np.broadcast_to(rows[:1], rows.shape)):
                return Call(value.op, [x, constant(rows[0])], value.attrs)
        return value

    def _reduction(self, value: Call, shape: tuple[int, ...]) -> Call:
        """Along rows that are all the same, of one of them."""
        source: Any = self.value_of(value.args[0])
        if op_name(source) != "relax.broadcast_to" or not value.attrs.keepdims or value.attrs.axis is None:
            return value
        small, large = static_shape(source.args[0]), static_shape(value.args[0])
        axes = [int(axis) for axis in value.attrs.axis]
        if len(small) != len(large) or any(small[axis] != large[axis] for axis in axes):
            return value
        return relax.op.broadcast_to(self.emit(Call(value.op, [source.args[0]], value.attrs)), shape)

    def _elementwise(self, value: Call, shape: tuple[int, ...]) -> Call:
        """An elementwise operator, which repeats smaller operands itself."""
        count = facts_of(value).elementwise or len(value.args)
        operands, others = list(value.args[:count]), list(value.args[count:])
        for place, operand in enumerate(operands):
            source: Any = self.value_of(operand)
            if op_name(source) == "relax.broadcast_to":
                operands[place] = source.args[0]
        small = np.broadcast_shapes(*map(static_shape, operands))
        result = Call(value.op, [*operands, *others], value.attrs)
        return result if small == shape else relax.op.broadcast_to(self.emit(result), shape)
