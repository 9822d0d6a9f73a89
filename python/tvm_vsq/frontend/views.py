"""Squeezes, flattened axes and new axes of one, all of which are reshapes."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.graph import Rebuilder, op_name, replace_main, static_shape
from tvm_vsq.network import Elements, facts_of
from tvm_vsq.tvm_compat import IRModule, Var


def views_to_reshapes(module: IRModule) -> IRModule:
    """Whatever gives the elements of its operand another shape becomes a reshape, which passes can move."""
    return replace_main(module, _ViewsToReshapes(module["main"]).run())


class _ViewsToReshapes(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        is_view = op_name(value) and facts_of(value).elements is Elements.VIEWED
        return relax.op.reshape(value.args[0], static_shape(var)) if is_view else value
