"""Softmax that a model spells out, as one operator."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.graph import Rebuilder, op_name, replace_main
from tvm_vsq.tvm_compat import Call, IRModule, Var


def softmaxes_to_operators(module: IRModule) -> IRModule:
    """exp(x - max(x)) / sum(exp(x - max(x))) over the last axis becomes a relax.nn.softmax."""
    return replace_main(module, _Softmaxes(module["main"]).run())


class _Softmaxes(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.divide":
            return value
        powers, total = value.args
        exp, added = self.value_of(powers), self.value_of(total)
        if op_name(exp) != "relax.exp" or not self._is_of(added, "relax.sum", powers):
            return value
        shifted: Any = self.value_of(exp.args[0])
        if op_name(shifted) != "relax.subtract":
            return value
        x, largest = shifted.args
        return relax.op.nn.softmax(x, -1) if self._is_of(self.value_of(largest), "relax.max", x) else value

    def _is_of(self, call: Call, name: str, x: Any) -> bool:
        """Whether a call reduces the last axis of `x`, and keeps it as one of extent 1."""
        if op_name(call) != name or not call.args[0].same_as(x) or call.attrs.axis is None:
            return False
        rank = len(x.ty.shape)
        return [int(axis) % rank for axis in call.attrs.axis] == [rank - 1] and bool(call.attrs.keepdims)
