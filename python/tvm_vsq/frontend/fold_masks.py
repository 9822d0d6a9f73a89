"""Masks that are chosen among two numbers, as choices of what they let pass, whatever is done to them first.

torch's layers turn a truth value into 0 or minus infinity, and then ask where it is finite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
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
from tvm_vsq.network import facts_of
from tvm_vsq.tvm_compat import IRModule, Var

Number = npt.NDArray[Any]


def fold_masks(module: IRModule) -> IRModule:
    """`clip(where(c, a, b))` becomes `where(c, clip(a), clip(b))` for numbers a and b, `where(c, a, b) > k`
    the condition or its opposite, and `where(c, a, 0)` `where(not c, 0, a)`; with views in between, too.
    The sum of two that choose minus infinity or 0 is one choice of what both let pass.

    Views must be reshapes by now.
    """
    return replace_main(module, _FoldMasks(module["main"]).run())


class _FoldMasks(Rebuilder):
    def __init__(self, function: relax.Function) -> None:
        super().__init__(function)
        self._opposites: dict[Any, Var] = {}

    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) == "relax.where":
            found = self._choice(value)
        elif _is_test(value) or facts_of(value).clamp(value) is not None:
            found = self._chosen(value.args[0])
        elif op_name(value) == "relax.add":
            return self._sum(value)
        elif op_name(value) == "relax.reshape":
            return self._reshaped(value, static_shape(var))
        else:
            return value
        if found is None or static_shape(found[0]) != static_shape(var):
            return value
        condition, numbers = found
        if op_name(value) == "relax.greater":
            border = _number(value.args[1])
            return self._test(value, condition, [bool(number > border) for number in numbers])
        clamp = facts_of(value).clamp(value)
        if clamp is not None:
            numbers = [np.clip(number, *clamp).astype(number.dtype) for number in numbers]
        if numbers[0] != 0 and numbers[1] == 0:
            condition, numbers = self._opposite(condition), numbers[::-1]
        return relax.op.where(condition, *map(constant, numbers))

    def _reshaped(self, value: Any, shape: tuple[int, ...]) -> Any:
        """Of a mask without views there and back."""
        x: Any = value.args[0]
        while static_shape(x) != shape and op_name(call := self.value_of(x)) == "relax.reshape":
            x = call.args[0]
        is_mask = op_name(self.value_of(x)) in ("relax.broadcast_to", "relax.where")
        return x if is_mask and static_shape(x) == shape else value

    def _sum(self, value: Any) -> Any:
        passes = [self._passing(arg) for arg in value.args]
        if passes[0] is None or passes[1] is None:
            return value
        numbers = [constant(np.array(number, np.float32)) for number in (0.0, -np.inf)]
        return relax.op.where(self.emit(relax.op.logical_and(*passes)), *numbers)

    def _passing(self, x: Any) -> Any:
        """Where a mask is 0, if it is minus infinity elsewhere; else None."""
        if is_constant(x) and dtype_of(x) == "float32":
            array = constant_array(x)
            return constant(array == 0) if ((array == 0) | np.isneginf(array)).all() else None
        found = self._chosen(x)
        return found[0] if found and [float(number) for number in found[1]] == [0, -np.inf] else None

    def _test(self, value: Any, condition: Any, outcomes: list[bool]) -> Any:
        if outcomes[0] == outcomes[1]:
            return value
        return condition if outcomes[0] else self._opposite(condition)

    def _chosen(self, x: Any) -> tuple[Any, list[Number]] | None:
        """The condition, in the shape of `x`, and the two numbers; None if `x` is no such choice."""
        call: Any = self.value_of(x)
        if op_name(call) == "relax.where":
            return self._choice(call)
        found = self._chosen(call.args[0]) if op_name(call) in _VIEWS else None
        return found and (self.emit(_VIEWS[op_name(call)](found[0], static_shape(x))), found[1])

    def _choice(self, where: Any) -> tuple[Any, list[Number]] | None:
        numbers = [number for arg in where.args[1:] if (number := _number(arg)) is not None]
        return (where.args[0], numbers) if len(numbers) == len(where.args) - 1 else None

    def _opposite(self, condition: Any) -> Var:
        """Not `condition`; once for all views of one."""
        call: Any = self.value_of(condition)
        if condition not in self._opposites:
            if op_name(call) in _VIEWS:
                view, whole = _VIEWS[op_name(call)], self._opposite(call.args[0])
                self._opposites[condition] = self.emit(view(whole, static_shape(condition)))
            else:
                self._opposites[condition] = self.emit(relax.op.logical_not(condition))
        return self._opposites[condition]


_VIEWS = {"relax.reshape": relax.op.reshape, "relax.broadcast_to": relax.op.broadcast_to}


def _is_test(value: Any) -> bool:
    return op_name(value) == "relax.greater" and _number(value.args[1]) is not None


def _number(x: Any) -> Number | None:
    """What a float constant is everywhere; None if it is not the same everywhere, or no such constant."""
    if not is_constant(x) or dtype_of(x) != "float32":
        return None
    array = constant_array(x)
    return array.reshape(-1)[0] if array.size and (array == array.reshape(-1)[0]).all() else None
