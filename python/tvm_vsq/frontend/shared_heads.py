"""Products in which several heads have the same second operand, without copies of it.

In attention with grouped queries (Ainslie et al., "GQA", EMNLP 2023), models repeat keys and values for each
head of a group. Heads of a group are the second axis of a stack instead, [B * groups, heads of a group, L,
D], and what they share has one of it, [B * groups, 1, L, D].
"""

from __future__ import annotations

from math import prod
from typing import Any

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

_AXES = 4
"""[B, heads, L, D]."""


def share_second_operands(module: IRModule) -> IRModule:
    """`module`, where matmul of [B, heads, M, D] and of keys that are repeated for `count` heads each is one
    of [B * heads / count, count, M, D] and of these keys with 1 in place of `count`.

    What follows up to the next such product, numbers, masks and a softmax, has the same axes. Views must be
    reshapes by now, and softmaxes operators.
    """
    return replace_main(module, _Shared(module["main"]).run())


class _Shared(Rebuilder):
    """`_grouped`: by a tensor [B, heads, M, N], what it is a reshape of, [B * groups, count, M, N]."""

    def run(self) -> relax.Function:
        """Rebuild the function."""
        self._grouped: dict[Any, Any] = {}
        return super().run()

    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        if name == "relax.matmul":
            return self._product(var, value)
        if name == "relax.nn.softmax" and int(value.attrs.axis) in (-1, _AXES - 1):
            inner = self._grouped.get(value.args[0])
            return (
                value if inner is None else self._ungrouped(relax.op.nn.softmax(inner, -1), static_shape(var))
            )
        if name in ("relax.multiply", "relax.divide", "relax.add", "relax.where"):
            return self._elementwise(var, value)
        return value

    def _product(self, var: Var, value: Any) -> Any:
        x, other = value.args
        if any(map(is_constant, value.args)) or len(static_shape(x)) != _AXES:
            return value
        found = self._shared(other)
        if found is None:
            return value
        shared, count = found
        stack = static_shape(shared)[0]
        inner = self._grouped.get(x)
        if inner is None or static_shape(inner)[:2] != (stack, count):
            inner = self.emit(relax.op.reshape(x, [stack, count, *static_shape(x)[2:]]))
        product = self.emit(Call(value.op, [inner, shared], value.attrs))
        return self._ungrouped_var(product, static_shape(var))

    def _shared(self, x: Any) -> tuple[Any, int] | None:
        """What `x` [B, heads, ...] repeats, as [B * groups, 1, ...], and how often; None if it repeats
        none.
        """
        call: Any = self.value_of(x)
        if op_name(call) == "relax.permute_dims":
            axes = [int(axis) for axis in call.attrs.axes or ()]
            found = self._shared(call.args[0]) if axes == [0, 1, 3, 2] else None
            return None if found is None else (self.emit(relax.op.permute_dims(found[0], axes)), found[1])
        repeated = self._repeated(call)
        if repeated is None:
            return None
        once, count = repeated
        batch, heads, *matrix = static_shape(x)
        return self.emit(relax.op.reshape(once, [batch * heads // count, 1, *matrix])), count

    def _repeated(self, call: Any) -> tuple[Any, int] | None:
        """Of a tensor [B, groups * count, ...], each matrix of which comes `count` times, these, one each."""
        if op_name(call) == "relax.repeat":
            axis, count = call.attrs.axis, int(call.attrs.repeats)
            is_heads = axis is not None and int(axis) % len(static_shape(call.args[0])) == 1
            return (call.args[0], count) if is_heads and count > 1 else None
        if op_name(call) == "relax.take" and is_constant(call.args[1]):
            places, groups = constant_array(call.args[1]).reshape(-1), static_shape(call.args[0])[1]
            count = len(places) // groups
            is_heads = call.attrs.axis is not None and int(call.attrs.axis) == 1
            in_order = (
                len(places) == count * groups and (places == [i // count for i in range(len(places))]).all()
            )
            return (call.args[0], count) if is_heads and count > 1 and in_order else None
        if op_name(call) != "relax.reshape":
            return None
        spread: Any = self.value_of(call.args[0])
        if op_name(spread) != "relax.broadcast_to":
            return None
        given, wanted = static_shape(spread.args[0]), static_shape(call.args[0])
        if len(given) != _AXES + 1 or len(wanted) != len(given) or given[2] != 1:
            return None
        is_repeated = given[:2] == wanted[:2] and given[3:] == wanted[3:]
        shape = [int(extent) for extent in call.args[1]]
        return (
            (spread.args[0], wanted[2])
            if is_repeated
            and wanted[2] > 1
            and shape
            == [
                wanted[0],
                wanted[1] * wanted[2],
                *wanted[3:],
            ]
            else None
        )

    def _elementwise(self, var: Var, value: Any) -> Any:
        """Numbers and masks on what is grouped, and zeros in place of rows."""
        position = next((i for i, arg in enumerate(value.args) if arg in self._grouped), None)
        if position is None:
            return value
        inner, shape = self._grouped[value.args[position]], static_shape(var)
        if shape != static_shape(value.args[position]):
            return value
        args = []
        for i, arg in enumerate(value.args):
            if i == position:
                args.append(inner)
                continue
            grouped = self._like(arg, shape, static_shape(inner))
            if grouped is None:
                return value
            args.append(grouped)
        return self._ungrouped(Call(value.op, args, value.attrs), shape)

    def _like(self, x: Any, shape: tuple[int, ...], grouped: tuple[int, ...]) -> Any:
        """`x`, which broadcasts to `shape`, so that it broadcasts to `grouped`; None if it holds a matrix for
        each head.
        """
        given = static_shape(x)
        given = (1,) * (_AXES - len(given)) + given
        if prod(given) == 1:
            return x
        if len(given) != _AXES or given[1] != 1:
            return None
        if given[0] == 1:
            return self._viewed(x, given)
        groups = grouped[0] // shape[0]
        once = self._viewed(x, (given[0], 1, 1, *given[2:]))
        spread = self.emit(relax.op.broadcast_to(once, (given[0], groups, 1, *given[2:])))
        return self._viewed(spread, (grouped[0], 1, *given[2:]))

    def _viewed(self, x: Any, shape: tuple[int, ...]) -> Any:
        if static_shape(x) == shape:
            return x
        if is_constant(x):
            return constant(constant_array(x).reshape(shape))
        return self.emit(relax.op.reshape(x, shape))

    def _ungrouped(self, value: Any, shape: tuple[int, ...]) -> Any:
        return self._ungrouped_var(self.emit(value), shape)

    def _ungrouped_var(self, inner: Var, shape: tuple[int, ...]) -> Any:
        found = self.emit(relax.op.reshape(inner, shape))
        self._grouped[found] = inner
        return found
