"""Guards against rows of softmax that are masked as a whole: zeros in place of NaN."""

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
from tvm_vsq.tvm_compat import Call, IRModule, Var

_LEAST = float(np.finfo(np.float32).min)


def guards_to_choices(module: IRModule) -> IRModule:
    """where(isnan(p), 0, p), p a softmax of masked scores, asks the mask in place of every number.

    It is gone where the mask leaves something of each row, or masks by a finite number: scores are finite.
    A row whose mask is minus infinity throughout gives zeros, and so does its product with other tensors,
    behind which the choice moves; the mask holds the least number then.
    """
    return replace_main(module, _Guards(module["main"]).run())


class _Guards(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) == "relax.where":
            return self._guard(value)
        return self._past_product(value) if op_name(value) == "relax.matmul" else value

    def _guard(self, value: Call) -> Any:
        nan, zero, p = value.args
        test, softmax = self.value_of(nan), self.value_of(p)
        is_guard = op_name(test) == "relax.isnan" and test.args[0].same_as(p) and _is_all(zero, 0)
        if not is_guard or op_name(softmax) != "relax.nn.softmax":
            return value
        axis = int(softmax.attrs.axis)
        if axis not in (-1, len(static_shape(p)) - 1):
            return value
        scores: Any = self.value_of(softmax.args[0])
        if op_name(scores) != "relax.add":
            return p
        for x, mask in (scores.args, [*scores.args][::-1]):
            known: Any = self.value_of(mask)
            if is_constant(known):
                array = constant_array(known)
                return p if np.isfinite(array.max(-1, initial=-np.inf)).all() else value
            if op_name(known) != "relax.where" or not _is_all(known.args[1], 0):
                continue
            if is_constant(known.args[2]) and np.isfinite(constant_array(known.args[2])).all():
                return p
            if _is_all(known.args[2], -np.inf):
                return self._by_mask(x, known.args[0])
        return value

    def _by_mask(self, x: Any, passes: Any) -> Call:
        numbers = [constant(np.array(number, np.float32)) for number in (0.0, _LEAST)]
        mask = self.emit(relax.op.where(passes, *numbers))
        p = self.emit(relax.op.nn.softmax(self.emit(relax.op.add(x, mask)), -1))
        count = self.emit(relax.op.sum(self.emit(relax.op.astype(passes, "float32")), [-1], keepdims=True))
        return relax.op.where(self.emit(relax.op.greater(count, numbers[0])), p, numbers[0])

    def _past_product(self, value: Call) -> Any:
        """matmul(where(rows, p, 0), v) as where(rows, matmul(p, v), 0)."""
        chosen: Any = self.value_of(value.args[0])
        if op_name(chosen) != "relax.where" or not _is_all(chosen.args[2], 0):
            return value
        rows, p, _ = chosen.args
        is_by_rows = len(rows.ty.shape) == len(p.ty.shape) and static_shape(rows)[-1] == 1
        if not is_by_rows or not self.is_read_once(value.args[0]):
            return value
        product = self.emit(Call(value.op, [p, value.args[1]], value.attrs))
        return relax.op.where(rows, product, constant(np.array(0.0, np.float32)))


def _is_all(x: Any, number: float) -> bool:
    return is_constant(x) and bool((constant_array(x) == number).all())
