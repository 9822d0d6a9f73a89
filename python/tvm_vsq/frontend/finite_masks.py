"""Masks of scores in numbers that are finite: minus infinity becomes the least float32."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.errors import ModelError
from tvm_vsq.frontend.masked_scores import LEAST
from tvm_vsq.graph import (
    Rebuilder,
    constant,
    constant_array,
    definitions,
    dtype_of,
    is_constant,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.tvm_compat import IRModule, Var


def finite_masks(module: IRModule) -> IRModule:
    """`softmax(scores + mask)` of a mask without minus infinity, which no range of numbers has.

    What is hidden keeps the probability 0. A row of an input's mask that is hidden as a whole is NaN in the
    model, and has equal probabilities here. Guards against such rows must be choices by now.
    Raises ModelError for a constant mask that hides a whole row, which is NaN for any input.
    """
    function, chosen = module["main"], set[Var]()
    for call in definitions(function).values():
        if op_name(call) == "relax.where":
            chosen.update(arg for arg in call.args[1:] if isinstance(arg, Var))
    return replace_main(module, _Finite(function, chosen).run())


class _Finite(Rebuilder):
    def __init__(self, function: relax.Function, chosen: Collection[Var]) -> None:
        """chosen: what some other numbers may take the place of, as in rows that are hidden as a whole."""
        super().__init__(function)
        self._chosen = chosen

    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.nn.softmax":
            return value
        total: Any = self.value_of(value.args[0])
        if op_name(total) != "relax.add":
            return value
        operands = [self._finite(operand, var in self._chosen) for operand in total.args]
        if all(a.same_as(b) for a, b in zip(operands, total.args, strict=True)):
            return value
        return relax.op.nn.softmax(self.emit(relax.op.add(*operands)), int(value.attrs.axis))

    def _finite(self, x: Any, is_guarded: bool) -> Any:
        call: Any = self.value_of(x)
        if is_constant(x):
            return _constant(x, is_guarded)
        if op_name(call) == "relax.where":
            numbers = [_constant(arg, is_guarded) if is_constant(arg) else arg for arg in call.args[1:]]
            is_same = all(a.same_as(b) for a, b in zip(numbers, call.args[1:], strict=True))
            return x if is_same else self.emit(relax.op.where(call.args[0], *numbers))
        return self.emit(relax.op.clip(x, float(LEAST), np.inf)) if self._may_be_infinite(x) else x

    def _may_be_infinite(self, x: Any) -> bool:
        """Whether an input's own numbers are in `x`, or sums of them."""
        call: Any = self.value_of(x)
        if op_name(call) == "relax.add":
            return any(map(self._may_be_infinite, call.args))
        if op_name(call) in ("relax.reshape", "relax.broadcast_to", "relax.permute_dims"):
            return self._may_be_infinite(call.args[0])
        return call is x and isinstance(x, Var) and dtype_of(x) == "float32"


def _constant(x: Any, is_guarded: bool) -> Any:
    array = constant_array(x)
    if not np.isneginf(array).any():
        return x
    closed = np.isneginf(array).all(-1) if array.ndim else np.zeros(())
    if closed.any() and not is_guarded and static_shape(x)[-1] > 1:
        place = [int(n) for n in np.argwhere(closed)[0]]
        raise ModelError(
            f"a constant mask {list(array.shape)} in front of a softmax is minus infinity in all of row "
            f"{place}: what the model gives there is NaN for any input; leave a place of the row visible, or "
            "hide it by a finite number, such as -1e9"
        )
    return constant(np.maximum(array, LEAST))
