"""Moves what only moves elements of images behind operators on each of them, which then follow layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.graph import (
    Rebuilder,
    constant,
    constant_array,
    is_constant,
    leaves,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.network import facts_of
from tvm_vsq.tvm_compat import Call, IRModule, Tuple, Var

Array = npt.NDArray[Any]


def sink_moves(module: IRModule) -> IRModule:
    """`op(move(x))` becomes `move(op(x))`: a bias behind phases that are interleaved is one behind each.

    `op` is elementwise, of one tensor or with a constant that varies along the last axis alone; `move` any
    tree of concats, slices and reshapes that keep the last axis, and orders of channels, of which nothing
    else reads a part. What is read several times is computed once; but if channels lie side by side, or all
    that is done is to take a part, none of what is moved may be read elsewhere.
    """
    sunk = replace_main(module, _SinkMoves(module["main"]).run())
    return relax.transform.DeadCodeElimination()(sunk)  # moves that nothing reads any more


class _SinkMoves(Rebuilder):
    def __init__(self, function: relax.Function) -> None:
        super().__init__(function)
        self._has_constant = False

    def rewrite(self, var: Var, value: Any) -> Any:
        operand = _operand(value)
        if operand is None or not isinstance(value.args[operand], Var):
            return value
        x = value.args[operand]
        self._has_constant = _per_channel(value, operand) is not None
        moves = list(self._moves(x))
        inside = Counter([x])
        for move in moves:
            inside.update(leaf for leaf in leaves(self.value_of(move)) if isinstance(leaf, Var))
        calls = [self.value_of(move) for move in moves]
        kinds = {op_name(call) for call in calls}
        if not kinds & {"relax.concat", "relax.take", "relax.strided_slice"}:
            return value
        # what another reads needs the operator's result beside the operand
        is_alone = kinds.isdisjoint({"relax.concat"}) or any(map(_is_along_channels, calls))
        if any(self._reads[each] > inside[each] for each in (inside if is_alone else moves)):
            return value
        return _Moved(self, value, operand, set(moves)).again(x, _per_channel(value, operand))

    def _moves(self, x: Any) -> Iterator[Var]:
        """What moves elements between the roots and `x`, each once, `x` itself included."""
        pending, seen = [x], set()
        while pending:
            var = pending.pop()
            call = self.value_of(var)
            if var in seen or not self._is_move(call):
                continue
            seen.add(var)
            yield var
            pending.extend(self.moved_by(call))

    def _is_move(self, call: Any) -> bool:
        name = op_name(call)
        if name == "relax.reshape":
            return static_shape(call.args[0])[-1:] == tuple(int(extent) for extent in call.args[1])[-1:]
        if name == "relax.strided_slice":
            rank = len(static_shape(call.args[0]))
            return all(int(axis.value) % rank != rank - 1 for axis in call.args[1].fields)
        if name == "relax.take":
            return _is_along_channels(call) and (_is_order if self._has_constant else _is_part)(call)
        return name == "relax.concat" and call.attrs.axis is not None

    def moved_by(self, call: Call) -> list[Any]:
        """The tensors whose elements `call` moves."""
        x = call.args[0]
        parts = self.value_of(x) if op_name(call) == "relax.concat" else x
        return list(parts.fields) if isinstance(parts, Tuple) else [x]


class _Moved:
    """`value`, whose operand `operand` the `moves` give, applied to what they move."""

    def __init__(self, rebuilder: _SinkMoves, value: Call, operand: int, moves: set[Var]) -> None:
        self._rebuilder, self._value, self._operand, self._moves = rebuilder, value, operand, moves
        self._done: dict[tuple[Var, bytes], Var] = {}

    def again(self, var: Var, given: Array | None) -> Call:
        """`var`, one of the moves, of what the operator gives; given: its constant, one for each channel."""
        call: Any = self._rebuilder.value_of(var)
        parts = self._rebuilder.moved_by(call)
        along = op_name(call) if _is_along_channels(call) else ""
        constants = [given] * len(parts)
        if along == "relax.concat" and given is not None:
            borders = np.cumsum([static_shape(part)[-1] for part in parts])[:-1]
            constants = list(np.split(given, borders))
        elif along == "relax.take" and given is not None:
            constants = [given[np.argsort(constant_array(call.args[1]))]]
        new = [self._of(part, array) for part, array in zip(parts, constants, strict=True)]
        if op_name(call) == "relax.concat":
            return relax.op.concat(new, call.attrs.axis)
        return Call(call.op, [*new, *call.args[1:]], call.attrs)

    def _of(self, var: Var, given: Array | None) -> Var:
        key = (var, b"" if given is None else given.tobytes())
        if key not in self._done:
            new = self.again(var, given) if var in self._moves else self._applied(var, given)
            self._done[key] = self._rebuilder.emit(new)
        return self._done[key]

    def _applied(self, part: Var, given: Array | None) -> Call:
        args = [*self._value.args]
        args[self._operand] = part
        if given is not None:
            args[1 - self._operand] = constant(given.reshape((1,) * (len(part.ty.shape) - 1) + (-1,)))
        return Call(self._value.op, args, self._value.attrs)


def _is_along_channels(call: Any) -> bool:
    """Whether a call moves elements along the last axis."""
    name = op_name(call)
    if name not in ("relax.concat", "relax.take") or call.attrs.axis is None:
        return False
    x = call.args[0].fields[0] if isinstance(call.args[0], Tuple) else call.args[0]
    shape = x.ty.fields[0].shape if isinstance(x.ty, relax.TupleType) else x.ty.shape
    return int(call.attrs.axis) % len(shape) == len(shape) - 1


def _is_order(call: Any) -> bool:
    if not is_constant(call.args[1]):
        return False
    indices, channels = constant_array(call.args[1]), static_shape(call.args[0])[-1]
    return indices.ndim == 1 and np.array_equal(np.sort(indices), np.arange(channels))


def _is_part(call: Any) -> bool:
    """Whether a take gives no more channels than there were, none twice."""
    if not is_constant(call.args[1]):
        return False
    indices = constant_array(call.args[1])
    return indices.ndim == 1 and len(np.unique(indices)) == len(indices)


def _operand(value: Any) -> int | None:
    """Which operand of an operator on each element may be taken apart; None if it is no such operator."""
    kind = facts_of(value).elementwise
    if kind == 1:
        return 0
    if kind != 2:
        return None
    operand = 1 if is_constant(value.args[0]) else 0
    other, x = value.args[1 - operand], value.args[operand]
    if not is_constant(other) or is_constant(x) or len(other.ty.shape) > len(x.ty.shape):
        return None
    shape = static_shape(other)
    is_per_channel = shape[-1:] in ((1,), static_shape(x)[-1:]) and shape[-1:] == (int(np.prod(shape)),)
    return operand if not shape or is_per_channel else None


def _per_channel(value: Call, operand: int) -> Array | None:
    """The constant beside an operand, an element for each channel; None if there is none, or one number."""
    if facts_of(value).elementwise == 1 or not value.args[1 - operand].ty.shape:
        return None
    array = constant_array(value.args[1 - operand]).reshape(-1)
    return np.broadcast_to(array, static_shape(value.args[operand])[-1:])
