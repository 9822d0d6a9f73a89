"""What hides scores in front of a softmax, however it is spelled, as one tensor that is added to them."""

from __future__ import annotations

from functools import reduce
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
    tensors,
)
from tvm_vsq.network.masks import HIDES
from tvm_vsq.tvm_compat import IRModule, Var

LEAST = np.finfo(np.float32).min
"""What hides in place of minus infinity: no sum of it and a score is NaN, or differs from it."""

_ZERO = np.float32(0)


def masks_to_sums(module: IRModule) -> IRModule:
    """`softmax(where(c, scores, k))` over the last axis becomes `softmax(scores + where(c, 0, l))`.

    k: at most -10,000 everywhere. l: minus infinity if k is, else the least float32, which no score changes;
    a row that is hidden as a whole has equal probabilities either way. Masks that are added one after the
    other are added to each other first, and have as many axes as the scores.

    Views must be reshapes by now.
    """
    return replace_main(module, _Masks(module["main"]).run())


class _Masks(Rebuilder):
    def __init__(self, function: relax.Function) -> None:
        super().__init__(function)
        self._are_given: dict[Any, bool] = {}

    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.nn.softmax" or not _is_over_last(value):
            return value
        x, shape = value.args[0], static_shape(var)
        view: Any = self.value_of(x)
        if op_name(view) == "relax.reshape" and static_shape(view.args[0])[-1] == shape[-1]:
            x = view.args[0]
        scores, masks = self._unmasked(x)
        if not masks or self._is_one_form(x, masks):
            return value
        mask = self._with_axes(reduce(self._both, masks), len(static_shape(x)))
        p = relax.op.nn.softmax(self.emit(relax.op.add(scores, mask)), -1)
        return p if static_shape(x) == shape else relax.op.reshape(self.emit(p), shape)

    def _is_one_form(self, x: Any, masks: list[Any]) -> bool:
        """Whether `x` is the sum of scores and a mask of as many axes already."""
        is_same = len(masks) == 1 and op_name(self.value_of(x)) == "relax.add"
        return is_same and len(static_shape(masks[0])) == len(static_shape(x))

    def _unmasked(self, x: Any) -> tuple[Any, list[Any]]:
        """Scores, and what hides some of them in `x`, the first one first."""
        call: Any = self.value_of(x)
        scores, mask = None, None
        if op_name(call) == "relax.where":
            scores, mask = self._choice(call)
        elif op_name(call) == "relax.add":
            for operand, other in (call.args, [*call.args][::-1]):
                if mask is None and self._is_given(other) and not self._is_given(operand):
                    scores, mask = operand, other
        if mask is None or static_shape(scores) != static_shape(x):
            return x, []
        inner, masks = self._unmasked(scores)
        return inner, [*masks, mask]

    def _choice(self, where: Any) -> tuple[Any, Any]:
        """Scores that `where` chooses or replaces by what hides them, and the mask; None, None for others."""
        condition, chosen, other = where.args
        for scores, number, is_opposite in ((chosen, other, False), (other, chosen, True)):
            low = _low(number)
            if low is not None and isinstance(scores, Var):
                return scores, self._mask(self._opposite(condition) if is_opposite else condition, low)
        return None, None

    def _opposite(self, condition: Any) -> Any:
        if is_constant(condition):
            return constant(~constant_array(condition))
        call: Any = self.value_of(condition)
        is_not = op_name(call) == "relax.logical_not"
        return call.args[0] if is_not else self.emit(relax.op.logical_not(condition))

    def _mask(self, passes: Any, low: Any) -> Any:
        if is_constant(passes):
            return constant(np.where(constant_array(passes), _ZERO, low))
        return self.emit(relax.op.where(passes, constant(np.array(_ZERO)), constant(np.array(low))))

    def _both(self, mask: Any, other: Any) -> Any:
        """What two masks hide together; two of the least float32 are no more than one."""
        if is_constant(mask) and is_constant(other):
            with np.errstate(over="ignore"):
                total: Any = constant_array(mask) + constant_array(other)
            return constant(np.maximum(total, LEAST))
        choices = [self._passing(each) for each in (mask, other)]
        if choices[0] is not None and choices[1] is not None and choices[0][1] == choices[1][1]:
            passes = [each[0] for each in choices if each is not None]
            return self._mask(self.emit(relax.op.logical_and(*passes)), choices[0][1])
        return self.emit(relax.op.clip(self.emit(relax.op.add(mask, other)), float(LEAST), np.inf))

    def _passing(self, mask: Any) -> tuple[Any, Any] | None:
        """Where a mask is 0, and what it is elsewhere; None if it has other numbers, too."""
        if is_constant(mask):
            array = constant_array(mask)
            low = _low(constant(array[array != 0])) if array.any() else None
            return None if low is None else (constant(array == 0), low)
        call: Any = self.value_of(mask)
        if op_name(call) != "relax.where" or not is_constant(call.args[1]):
            return None
        low = None if constant_array(call.args[1]).any() else _low(call.args[2])
        return None if low is None else (call.args[0], low)

    def _with_axes(self, mask: Any, rank: int) -> Any:
        """`mask` with ones in front of its shape."""
        shape = (1,) * (rank - len(static_shape(mask))) + static_shape(mask)
        if static_shape(mask) == shape:
            return mask
        if is_constant(mask):
            return constant(constant_array(mask).reshape(shape))
        call: Any = self.value_of(mask)
        passing = self._passing(mask) if op_name(call) == "relax.where" else None
        if passing is None:
            return self.emit(relax.op.reshape(mask, shape))
        shape = (1,) * (rank - len(static_shape(passing[0]))) + static_shape(passing[0])
        return self._mask(self.emit(relax.op.reshape(passing[0], shape)), passing[1])

    def _is_given(self, x: Any) -> bool:
        """Whether `x` follows from inputs and constants without a product."""
        if x not in self._are_given:
            call: Any = self.value_of(x)
            name = op_name(call)
            is_product = name == "relax.matmul" or name.startswith("relax.nn.")
            self._are_given[x] = call is x or (not is_product and all(map(self._is_given, tensors(call))))
        return self._are_given[x]


def _is_over_last(softmax: Any) -> bool:
    return int(softmax.attrs.axis) in (-1, len(static_shape(softmax.args[0])) - 1)


def _low(number: Any) -> Any:
    """What hides in place of a constant that is low enough for it everywhere; None if it is not."""
    if not is_constant(number) or dtype_of(number) != "float32":
        return None
    array = constant_array(number)
    if not array.size or not (array <= HIDES).all():
        return None
    if np.isinf(array).all():
        return np.float32(-np.inf)
    return None if np.isinf(array).any() else LEAST
