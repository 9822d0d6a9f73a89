"""Rotary embeddings that a model spells out, as one operator each, on rows of all heads side by side."""

from __future__ import annotations

from collections.abc import Callable
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
from tvm_vsq.network import Elements, facts_of
from tvm_vsq.network.rotation import rotate
from tvm_vsq.tvm_compat import IRModule, Var


def rotations_to_operators(module: IRModule) -> IRModule:
    """x * cos + concat(-second half, first half) * sin over the last axis, and the same with the halves
    apart, become an fp32.rotate, where cosines and sines are proven to be such: constants, or what is
    computed by `cos` and `sin`, or looked up in constants.

    Where x [B, heads, L, D] or [B, L, heads, D] are channels that were split into heads, it is a rotation of
    rows [B, L, heads * D], before that. A number that all cosines and sines are multiplied with follows it.
    Views must be reshapes by now.
    """
    return replace_main(module, _Rotations(module["main"]).run())


class _Rotations(Rebuilder):
    def run(self) -> relax.Function:
        """Rebuild the function; what several rotations have in common is there once."""
        self._views: dict[Any, Any] = {}
        return super().run()

    def rewrite(self, var: Var, value: Any) -> Any:
        name, found = op_name(value), None
        is_rows = name in ("relax.add", "relax.concat") and dtype_of(var) == "float32"
        if is_rows and len(static_shape(var)) > 1:
            found = (
                self._of_halves_exchanged(value)
                if name == "relax.add"
                else self._of_halves_apart(value, len(static_shape(var)))
            )
        if found is None:
            return value
        rotated = self._rotated(*found)
        return value if rotated is None else rotated

    def _of_halves_exchanged(self, value: Any) -> tuple[Any, Any, Any] | None:
        """x, cosines and sines of x * cos + exchanged(x) * sin, both of which are the same in both halves."""
        for one, other in (value.args, [*value.args][::-1]):
            for x, cos in self._factors(one):
                for exchanged, sin in self._factors(other):
                    if self._is_exchanged(exchanged, x):
                        first, second = self._first_half(cos), self._first_half(sin)
                        if first is not None and second is not None:
                            return x, first, second
        return None

    def _of_halves_apart(self, value: Any, rank: int) -> tuple[Any, Any, Any] | None:
        """x, cosines and sines of concat(a * cos - b * sin, b * cos + a * sin) of the halves a and b of x."""
        fields = list(value.args[0].fields)
        if int(value.attrs.axis or 0) % rank != rank - 1 or len(fields) != 2:
            return None
        difference, total = map(self.value_of, fields)
        if op_name(difference) != "relax.subtract" or op_name(total) != "relax.add":
            return None
        for a, cos in self._factors(difference.args[0]):
            for b, sin in self._factors(difference.args[1]):
                for one, other in (total.args, [*total.args][::-1]):
                    matches = self._is_product(one, b, cos) and self._is_product(other, a, sin)
                    x = self._whole(a, b) if matches else None
                    if x is not None:
                        return x, cos, sin
        return None

    def _rotated(self, x: Any, cos: Any, sin: Any) -> Any:
        """What is made of x; None if nothing says that these are cosines and sines."""
        (cos, scale), (sin, other) = self._unscaled(cos), self._unscaled(sin)
        largest = [np.abs(constant_array(each)).max(initial=0) for each in (cos, sin) if is_constant(each)]
        if len(largest) == 2 and max(largest) > 1:
            cos, sin = (constant(constant_array(each) / max(largest)) for each in (cos, sin))
            scale, other = (each * float(max(largest)) for each in (scale, other))
        if scale != other or not (self._is_bounded(cos) and self._is_bounded(sin)):
            return None
        shape, half = static_shape(x), static_shape(x)[-1] // 2
        places = [self._aligned(each, len(shape)) for each in (cos, sin)]
        if any(static_shape(each)[-1] != half for each in places):
            return None
        turns = self._joined(*places)
        rows = self._heads(x, static_shape(turns)) or self._split(x, static_shape(turns))
        if rows is None:
            rotated: Any = rotate(x, turns)
        else:
            whole, leading, order = rows
            turned_rows = self.emit(rotate(whole, self._viewed(turns, leading)))
            batch, length, channels = static_shape(whole)
            heads = [batch, length, channels // (2 * half), 2 * half]
            rotated = relax.op.reshape(turned_rows, heads)
            if order is not None:
                rotated = relax.op.permute_dims(self.emit(rotated), order)
        if scale == 1.0:
            return rotated
        return relax.op.multiply(self.emit(rotated), constant(np.array(scale, np.float32)))

    def _heads(self, x: Any, turns: tuple[int, ...]) -> tuple[Any, list[int], list[int] | None] | None:
        """Of x [B, heads, L, D], a permute of channels that were split: these, [B, L, heads * D], the shape
        of their cosines, and the permute.
        """
        permute: Any = self.value_of(x)
        if op_name(permute) != "relax.permute_dims" or len(turns) != 4 or turns[1] != 1:
            return None
        order = [int(axis) for axis in permute.attrs.axes or ()]
        found = (
            self._split(permute.args[0], (turns[0], turns[2], 1, turns[3])) if order == [0, 2, 1, 3] else None
        )
        return None if found is None else (found[0], found[1], order)

    def _split(self, x: Any, turns: tuple[int, ...]) -> tuple[Any, list[int], None] | None:
        """The same of x [B, L, heads, D] itself."""
        split: Any = self.value_of(x)
        if op_name(split) != "relax.reshape" or len(turns) != 4 or turns[2] != 1:
            return None
        batch, length, heads, size = static_shape(x)
        if static_shape(split.args[0])[-1] != heads * size:
            return None
        whole = self._viewed(split.args[0], [batch, length, heads * size])
        return whole, [turns[0], turns[1], turns[3]], None

    def _factors(self, x: Any) -> list[tuple[Any, Any]]:
        """The operands of a product, either one first."""
        call: Any = self.value_of(x)
        if op_name(call) != "relax.multiply":
            return []
        return [tuple(call.args), tuple([*call.args][::-1])]

    def _is_product(self, x: Any, a: Any, b: Any) -> bool:
        return any(self._is_same(one, a) and self._is_same(other, b) for one, other in self._factors(x))

    def _is_same(self, a: Any, b: Any) -> bool:
        """Whether two expressions are the same tensor, which may have been sliced twice."""
        if a.same_as(b):
            return True
        if is_constant(a) and is_constant(b):
            return np.array_equal(constant_array(a), constant_array(b))
        ours, theirs = self._part(a), self._part(b)
        return (
            ours is not None and theirs is not None and ours[0].same_as(theirs[0]) and ours[1:] == theirs[1:]
        )

    def _part(self, x: Any) -> tuple[Any, int, int] | None:
        """Of what, from where and to where `x` is a slice of the last axis."""
        call: Any = self.value_of(x)
        if isinstance(call, relax.TupleGetItem):
            split: Any = self.value_of(call.tuple_value)
            if op_name(split) != "relax.split":
                return None
            source = split.args[0]
            rank, extent = len(static_shape(source)), static_shape(x)[-1]
            is_last = int(split.attrs.axis) % rank == rank - 1
            is_even = extent * len(split.ty.fields) == static_shape(source)[-1]
            begin = int(call.index) * extent
            return (source, begin, begin + extent) if is_last and is_even else None
        if op_name(call) != "relax.strided_slice":
            return None
        axes, begins, ends, *strides = ([int(each.value) for each in arg.fields] for arg in call.args[1:])
        shape = static_shape(call.args[0])
        if [axis % len(shape) for axis in axes] != [len(shape) - 1] or strides not in ([], [[1]]):
            return None
        begin, end = (each + shape[-1] if each < 0 else each for each in (begins[0], ends[0]))
        return call.args[0], begin, min(end, shape[-1])

    def _whole(self, a: Any, b: Any) -> Any:
        """x, of which a and b are the first and the second half."""
        first, second = self._part(a), self._part(b)
        if first is None or second is None or not first[0].same_as(second[0]):
            return None
        size = static_shape(first[0])[-1]
        return first[0] if first[1:] == (0, size // 2) and second[1:] == (size // 2, size) else None

    def _is_exchanged(self, exchanged: Any, x: Any) -> bool:
        """Whether the halves of x are exchanged, and the one that comes first then is negative."""
        call: Any = self.value_of(exchanged)
        rank = len(static_shape(x))
        if op_name(call) != "relax.concat" or int(call.attrs.axis or 0) % rank != rank - 1:
            return False
        fields = list(call.args[0].fields)
        negative: Any = self.value_of(fields[0])
        if len(fields) != 2:
            return False
        is_product = op_name(negative) == "relax.multiply" and _is_minus_one(negative.args[1])
        if op_name(negative) != "relax.negative" and not is_product:
            return False
        second = negative.args[0]
        whole = self._whole(fields[1], second)
        return whole is not None and bool(whole.same_as(x))

    def _first_half(self, x: Any) -> Any:
        """The first half of the last axis of x, if the second one is the same; else None."""
        if is_constant(x):
            first, second = np.split(constant_array(x), 2, -1) if static_shape(x)[-1] % 2 == 0 else (0, 1)
            return constant(np.ascontiguousarray(first)) if np.array_equal(first, second) else None
        call: Any = self.value_of(x)
        if op_name(call) == "relax.concat":
            rank, fields = len(static_shape(x)), list(call.args[0].fields)
            is_last = int(call.attrs.axis or 0) % rank == rank - 1
            is_twice = len(fields) == 2 and self._is_same(fields[0], fields[1])
            return fields[0] if is_last and is_twice else None
        extent, moved = static_shape(x)[-1:], op_name(call) in ("relax.reshape", "relax.permute_dims")
        if moved and static_shape(call.args[0])[-1:] != extent:
            return None
        if facts_of(call).elementwise == 1 or moved or _number(call) is not None:
            inner = self._first_half(call.args[0])
            if inner is None:
                return None
            if op_name(call) == "relax.reshape":
                shape = [*static_shape(x)[:-1], static_shape(inner)[-1]]
                return self.emit(relax.op.reshape(inner, shape))
            return self.emit(type(call)(call.op, [inner, *call.args[1:]], call.attrs))
        if op_name(call) == "relax.take" and self._is_of_rows(call):
            table = self._first_half(call.args[0])
            return (
                None if table is None else self.emit(type(call)(call.op, [table, call.args[1]], call.attrs))
            )
        return None

    def _is_of_rows(self, call: Any) -> bool:
        rank = len(static_shape(call.args[0]))
        return rank > 1 and call.attrs.axis is not None and int(call.attrs.axis) % rank < rank - 1

    def _unscaled(self, x: Any) -> tuple[Any, float]:
        """`x` without a number that all of it is multiplied with, and that number."""
        call: Any = self.value_of(x)
        number = _number(call)
        if number is not None:
            inner, more = self._unscaled(call.args[0])
            return inner, more * number
        if op_name(call) in ("relax.reshape", "relax.permute_dims"):
            inner, number = self._unscaled(call.args[0])
            if number != 1.0:
                return self.emit(type(call)(call.op, [inner, *call.args[1:]], call.attrs)), number
        return x, 1.0

    def _is_bounded(self, x: Any) -> bool:
        """Whether no element can be larger than 1 in magnitude."""
        if is_constant(x):
            return bool((np.abs(constant_array(x)) <= 1).all()) if dtype_of(x) == "float32" else True
        call: Any = self.value_of(x)
        if isinstance(call, relax.TupleGetItem):
            return self._is_bounded(call.tuple_value)
        if op_name(call) in ("relax.cos", "relax.sin"):
            return True
        if op_name(call) == "relax.nn.pad" or facts_of(call).elements not in (
            Elements.VIEWED,
            Elements.COPIED,
        ):
            return False
        values = tensors(call)[:1] if op_name(call) != "relax.concat" else tensors(call)
        return all(map(self._is_bounded, values))

    def _aligned(self, x: Any, rank: int) -> Any:
        """With as many axes as what it multiplies."""
        shape = static_shape(x)
        return self._viewed(x, [1] * (rank - len(shape)) + list(shape))

    def _viewed(self, x: Any, shape: list[int]) -> Any:
        if list(static_shape(x)) == shape:
            return x
        if is_constant(x):
            return constant(constant_array(x).reshape(shape))
        return self._once((x, *shape), lambda: relax.op.reshape(x, shape))

    def _once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """What `make` gives, emitted the first time."""
        if key not in self._views:
            self._views[key] = self.emit(make())
        return self._views[key]

    def _joined(self, cos: Any, sin: Any) -> Any:
        """Cosines, and sines behind them."""
        if is_constant(cos) and is_constant(sin):
            pair = np.broadcast_arrays(constant_array(cos), constant_array(sin))
            return constant(np.concatenate(pair, -1))
        return self._once((cos, sin), lambda: relax.op.concat([cos, sin], len(static_shape(cos)) - 1))


def _number(call: Any) -> float | None:
    """The positive number that a call multiplies its first operand by."""
    if op_name(call) != "relax.multiply" or not is_constant(call.args[1]):
        return None
    number = constant_array(call.args[1])
    return float(number.item()) if number.size == 1 and number.item() > 0 else None


def _is_minus_one(expr: Any) -> bool:
    return is_constant(expr) and bool((constant_array(expr) == -1).all())
