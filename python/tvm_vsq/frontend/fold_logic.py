"""Logic with constants, which masks are full of, as far as the constants decide it."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.graph import (
    Rebuilder,
    constant,
    constant_array,
    dtype_of,
    is_constant,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.tvm_compat import IRModule, Var


def fold_logic(module: IRModule) -> IRModule:
    """An "and" with what is true everywhere, a choice whose condition is the same everywhere, and a cast to
    the dtype that a tensor has are gone; bitwise operators on truth values become logical ones, and one
    number in the shape of a tensor is a constant."""
    return replace_main(module, _FoldLogic(module["main"]).run())


_LOGICAL = {
    "relax.bitwise_and": relax.op.logical_and,
    "relax.bitwise_not": relax.op.logical_not,
    "relax.bitwise_or": relax.op.logical_or,
    "relax.bitwise_xor": relax.op.logical_xor,
}
_NEUTRAL = {"relax.logical_and": True, "relax.logical_or": False}


class _FoldLogic(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        if name == "relax.full_like" and is_constant(value.args[1]):
            number = constant_array(value.args[1]).astype(dtype_of(var))
            return constant(np.full(static_shape(var), number))
        if name == "relax.astype":
            return value.args[0] if dtype_of(value.args[0]) == dtype_of(var) else value
        if name in _LOGICAL and dtype_of(var) == "bool":
            value = _LOGICAL[name](*value.args)
            name = op_name(value)
        if name in _NEUTRAL:
            for known, other in (value.args, [*value.args][::-1]):
                if _everywhere(known, _NEUTRAL[name]):
                    return _spread(other, static_shape(var))
        if name == "relax.where":
            for outcome, chosen in zip((True, False), value.args[1:], strict=True):
                if _everywhere(value.args[0], outcome):
                    return _spread(chosen, static_shape(var))
        return value


def _everywhere(x: Any, outcome: bool) -> bool:
    if not is_constant(x) or dtype_of(x) != "bool":
        return False
    array = constant_array(x)
    return bool(array.all()) if outcome else not array.any()


def _spread(x: Any, shape: tuple[int, ...]) -> Any:
    return x if static_shape(x) == shape else relax.op.broadcast_to(x, shape)
