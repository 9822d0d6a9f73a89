"""Removes broadcasts that repeat nothing, and those of weights, which hide linear layers."""

from __future__ import annotations

from typing import Any

import numpy as np

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


def unbroadcast(module: IRModule) -> IRModule:
    """Drop broadcast_to where what reads it repeats as well, and repeated slices of constant weights.

    PyTorch's attention layers arrive as a product with [B, C, K] weights, the same [C, K] B times; constants
    must have been folded before.
    """
    return replace_main(module, _Unbroadcast(module["main"]).run())


class _Unbroadcast(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        if name == "relax.broadcast_to" and static_shape(value.args[0]) == static_shape(var):
            return value.args[0]
        if facts_of(value).elementwise == 2:
            return self._of_two(value, static_shape(var))
        if name == "relax.matmul" and is_constant(value.args[1]) and len(value.args[1].ty.shape) > 2:
            weight = constant_array(value.args[1])
            rows = weight.reshape(-1, *weight.shape[-2:])
            x = value.args[0]
            keeps_shape = static_shape(x)[:-1] == static_shape(var)[:-1]
            if keeps_shape and np.array_equal(rows, np.broadcast_to(rows[:1], rows.shape)):
                return Call(value.op, [x, constant(rows[0])], value.attrs)
        return value

    def _of_two(self, value: Call, shape: tuple[int, ...]) -> Call:
        """An elementwise operator of two tensors, of which it repeats the smaller one itself."""
        operands = list(value.args)
        for place, operand in enumerate(operands):
            source: Any = self.value_of(operand)
            if op_name(source) != "relax.broadcast_to":
                continue
            tried = [*operands[:place], source.args[0], *operands[place + 1 :]]
            if np.broadcast_shapes(*map(static_shape, tried)) == shape:
                operands = tried
        return Call(value.op, operands, value.attrs)
