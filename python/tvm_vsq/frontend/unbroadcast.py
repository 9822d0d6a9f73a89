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
from tvm_vsq.tvm_compat import Call, IRModule, Var


def unbroadcast(module: IRModule) -> IRModule:
    """Drop broadcast_to of a tensor to its own shape, and repeated slices of constant weights.

    PyTorch's attention layers arrive as a product with [B, C, K] weights, the same [C, K] B times; constants
    must have been folded before.
    """
    return replace_main(module, _Unbroadcast(module["main"]).run())


class _Unbroadcast(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        if name == "relax.broadcast_to" and static_shape(value.args[0]) == static_shape(var):
            return value.args[0]
        if name == "relax.matmul" and is_constant(value.args[1]) and len(value.args[1].ty.shape) > 2:
            weight = constant_array(value.args[1])
            rows = weight.reshape(-1, *weight.shape[-2:])
            x = value.args[0]
            keeps_shape = static_shape(x)[:-1] == static_shape(var)[:-1]
            if keeps_shape and np.array_equal(rows, np.broadcast_to(rows[:1], rows.shape)):
                return Call(value.op, [x, constant(rows[0])], value.attrs)
        return value
