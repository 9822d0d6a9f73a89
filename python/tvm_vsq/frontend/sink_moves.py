"""Moves what only moves elements of images behind operators on each of them, which then follow layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
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


def sink_moves(module: IRModule) -> IRModule:
    """`op(move(x))` becomes `move(op(x))`: a bias behind phases that are interleaved is one behind each.

    `op` is elementwise, of one tensor or with a constant that varies along the last axis alone; `move` any
    tree of concats, slices and reshapes that keep the last axis, of which nothing else reads a part. What is
    read several times is computed once.
    """
    return replace_main(module, _SinkMoves(module["main"]).run())


class _SinkMoves(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        operand = _operand(value)
        if operand is None or not isinstance(value.args[operand], Var):
            return value
        x = value.args[operand]
        moved = list(self._moves(x))
        inside = Counter([x])
        for move in moved:
            inside.update(leaf for leaf in leaves(self.value_of(move)) if isinstance(leaf, Var))
        is_joined = any(op_name(self.value_of(move)) == "relax.concat" for move in moved)
        if not is_joined or any(self._reads[move] > inside[move] for move in moved):
            return value
        return self._again(x, set(moved), lambda part: self._applied(value, operand, part), {})

    def _applied(self, value: Call, operand: int, part: Var) -> Var:
        args = [*value.args]
        args[operand] = part
        other = args[1 - operand] if facts_of(value).elementwise == 2 else None
        if other is not None and len(other.ty.shape) > 0:
            array = constant_array(other)
            args[1 - operand] = constant(array.reshape((1,) * (len(part.ty.shape) - 1) + (-1,)))
        return self.emit(Call(value.op, args, value.attrs))

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
            pending.extend(self._moved_by(call))

    def _is_move(self, call: Any) -> bool:
        name = op_name(call)
        if name == "relax.reshape":
            return static_shape(call.args[0])[-1:] == tuple(int(extent) for extent in call.args[1])[-1:]
        if name == "relax.strided_slice":
            rank = len(static_shape(call.args[0]))
            return all(int(axis.value) % rank != rank - 1 for axis in call.args[1].fields)
        if name != "relax.concat" or call.attrs.axis is None:
            return False
        rank = len(static_shape(self._moved_by(call)[0]))
        return int(call.attrs.axis) % rank != rank - 1

    def _moved_by(self, call: Call) -> list[Any]:
        x = call.args[0]
        parts = self.value_of(x) if op_name(call) == "relax.concat" else x
        return list(parts.fields) if isinstance(parts, Tuple) else [x]

    def _moved(self, var: Var, moves: set[Var], apply: Callable[[Var], Var], done: dict[Var, Var]) -> Var:
        if var not in done:
            done[var] = self.emit(self._again(var, moves, apply, done)) if var in moves else apply(var)
        return done[var]

    def _again(self, var: Var, moves: set[Var], apply: Callable[[Var], Var], done: dict[Var, Var]) -> Call:
        call = self.value_of(var)
        parts = [self._moved(part, moves, apply, done) for part in self._moved_by(call)]
        if op_name(call) == "relax.concat":
            return relax.op.concat(parts, call.attrs.axis)
        return Call(call.op, [*parts, *call.args[1:]], call.attrs)


def _operand(value: Any) -> int | None:
    """Which operand of an operator on each element may be taken apart; None if it is no such operator."""
    kind = facts_of(value).elementwise
    if kind == 1:
        return 0
    if kind != 2:
        return None
    operand = 1 if is_constant(value.args[0]) else 0
    other = value.args[1 - operand]
    if not is_constant(other) or is_constant(value.args[operand]):
        return None
    shape = static_shape(other)
    size = int(np.prod(shape))
    return operand if not shape or shape[-1] == size else None
