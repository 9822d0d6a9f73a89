"""The first operand of a product of two tensors is the one that has the shape of the result."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.graph import Rebuilder, op_name, replace_main, static_shape
from tvm_vsq.tvm_compat import Call, IRModule, Var


def order_products(module: IRModule) -> IRModule:
    """Exchange the operands of products of which only the second one has the shape of the result."""
    return replace_main(module, _Order(module["main"]).run())


class _Order(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.multiply":
            return value
        first, second = value.args
        are_tensors = all(isinstance(x, Var) and isinstance(x.ty, relax.TensorType) for x in (first, second))
        if are_tensors and static_shape(first) != static_shape(var) == static_shape(second):
            return Call(value.op, [second, first], value.attrs)
        return value
