"""Takes of constant indices, on tensors with the channels last, as slices of which some are repeated."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.frontend.interleave import interleaved
from tvm_vsq.frontend.selections import taken
from tvm_vsq.graph import Rebuilder, constant_array, is_constant, op_name, replace_main, static_shape
from tvm_vsq.tvm_compat import Call, IRModule, Var

Array = npt.NDArray[Any]

_PIECES = 16
"""Slices that a take may become: each is one of those that a layer reads."""


def takes_to_slices(module: IRModule) -> IRModule:
    """Takes that follow each other on one axis become one, and those of every so many a strided_slice.

    On rows and columns, which are any axes but the first and the last, a take that repeats each as often
    (nearest upsampling) becomes an interleaving, and another one a concat of slices, if these are few (a
    border that is reflected, replicated, or goes round). Orders of channels stay.
    """
    return replace_main(module, _TakesToSlices(module["main"]).run())


class _TakesToSlices(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        if name not in ("relax.take", "relax.strided_slice") or not isinstance(value.args[0], Var):
            return value
        found = _indices(value)
        if found is None:
            return value
        axis, indices = found
        x = value.args[0]
        inner = self.value_of(x)
        before = _indices(inner) if op_name(inner) == "relax.take" else None
        if before is not None and before[0] == axis:
            x, indices = inner.args[0], before[1][indices]
        elif name == "relax.strided_slice":
            return value
        return self._taken(x, axis, indices)

    def _taken(self, x: Var, axis: int, indices: Array) -> Any:
        shape = static_shape(x)
        if np.array_equal(indices, np.arange(shape[axis])):
            return x
        runs = _runs(indices)
        if len(runs) == 1:
            return _slice(x, axis, *runs[0])
        if not 0 < axis < len(shape) - 1:
            return taken(x, indices, axis)
        times, rest = divmod(len(indices), shape[axis])
        if rest == 0 and np.array_equal(indices, np.arange(shape[axis]).repeat(times)):
            return interleaved(self.emit, [x] * times, axis)
        if len(runs) > _PIECES:
            return taken(x, indices, axis)
        pieces = []
        for first, step, count in runs:
            is_whole = (first, step, count) == (0, 1, shape[axis])
            pieces.append(x if is_whole else self.emit(_slice(x, axis, first, step, count)))
        return relax.op.concat(pieces, axis=axis)


def _slice(x: Var, axis: int, first: int, step: int, count: int) -> Call:
    return relax.op.strided_slice(x, [axis], [first], [first + (count - 1) * step + 1], [step])


def _indices(call: Call) -> tuple[int, Array] | None:
    """(axis, indices) of a take along one axis, or of a slice of one; None if it is not of this form."""
    shape = static_shape(call.args[0])
    if op_name(call) == "relax.take":
        if not is_constant(call.args[1]) or call.attrs.axis is None or len(call.args[1].ty.shape) != 1:
            return None
        return int(call.attrs.axis) % len(shape), constant_array(call.args[1]).astype(np.int64)
    axes, begins, ends, *rest = ([int(field.value) for field in arg.fields] for arg in call.args[1:])
    if len(axes) != 1:
        return None
    axis, steps = axes[0] % len(shape), rest[0] if rest else [1]
    return axis, np.arange(shape[axis])[begins[0] : ends[0] : steps[0]]


def _runs(indices: Array) -> list[tuple[int, int, int]]:
    """(first, step, count), step > 0, of pieces that together are `indices`: the longest from the start."""
    runs, at = [], 0
    while at < len(indices):
        step = int(indices[at + 1] - indices[at]) if at + 1 < len(indices) else 1
        count = 1
        if step > 0:
            while at + count < len(indices) and indices[at + count] - indices[at + count - 1] == step:
                count += 1
        is_pair = count == 2 and step > 1  # two pixels that happen to lie apart
        count, step = (1, 1) if is_pair or step < 1 else (count, step)
        runs.append((int(indices[at]), step if count > 1 else 1, count))
        at += count
    return runs
