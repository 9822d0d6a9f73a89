"""Lets tensors that are moved start and end with whole vectors, whatever their numbers of channels are.

A concatenation of tensors whose channels fill no whole vectors leaves holes; a split anywhere, or another
order of channels, keeps the vectors as they are. Which channels of the model are where in them is an order,
`relax.take`, and the layers that read the tensor take it into their weights, with zeros for what they do not
read. What has no weights is moved in front of the order. Only where neither is possible, or where most of
what is read would be thrown away, a convolution with kernels of zeros and ones brings channels in order: the
accelerator has no other way from one lane to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.frontend.given import given_weights
from tvm_vsq.frontend.pixels import mixed_channels
from tvm_vsq.graph import constant, constant_array, definitions, is_constant, op_name, static_shape, tensors
from tvm_vsq.network import facts_of, refusal, source_of, weight_form
from tvm_vsq.network.rebuild import FinalRebuilder
from tvm_vsq.placement.moves import sliced, slices_of
from tvm_vsq.tvm_compat import Call, IRModule, Tuple, Var

Order = npt.NDArray[np.int64]

_WASTE = 1.5
"""How many times the vectors that it needs a tensor may take, to be read by more than layers with weights."""


def align_moves(module: IRModule, size: int) -> IRModule:
    """`module` with orders of channels in the weights of layers; its vectors have `size` channels."""
    return relax.transform.DeadCodeElimination()(_Align(module, size).rebuilt())


@dataclass(frozen=True)
class _Ordered:
    """Channel i is channel order[i] of `stored`."""

    stored: Var
    order: Order

    @property
    def is_distinct(self) -> bool:
        return len(set(self.order.tolist())) == len(self.order)


class _Align(FinalRebuilder):
    def __init__(self, module: IRModule, size: int) -> None:
        super().__init__(module)
        self._size = size
        self._given = given_weights(module)
        self._calls = definitions(self.old)
        self._behind: set[Var] = set()  # new variables that depend on a layer
        self._in_order: dict[Var, Var] = {}

    def rewrite(self, var: Var, value: Any) -> Any:
        result = self._rewritten(var, value)
        if not any(x in self._behind for x in tensors(value)) and var not in self.names:
            return result
        if op_name(value) == "relax.permute_dims" and not _keeps_channels(value):
            return result  # no channels along the last axis any more
        if not isinstance(result, Var):
            result = self.emit(result) if self._may_bind(var) else result
        if isinstance(result, Var):
            self._behind.add(result)
        return result

    def _may_bind(self, var: Var) -> bool:
        return not isinstance(var.ty, relax.TupleType) and not var.same_as(self.old.body.body)

    def _rewritten(self, var: Var, value: Any) -> Any:
        name, operands = op_name(value), tensors(value)
        if not name or not any(x in self._behind for x in operands):
            return value
        if var in self.names:
            ordered = [self._ordered(x) for x in operands]
            return self._layer(var, value, ordered) if any(ordered) else value
        if name == "relax.concat":
            return self._concat(var, value)
        if name == "relax.strided_slice":
            return self._slice(value)
        if name == "relax.take":
            return self._take(value)
        ordered = [self._ordered(x) for x in operands]
        if name == "relax.reshape":
            return self._reshape(value, ordered[0], static_shape(var))
        if not any(ordered):
            return value
        return self._computed(var, value, ordered)

    def _ordered(self, x: Any) -> _Ordered | None:
        """What a new variable is an order of; None if it is none, or if the host makes it."""
        call = self.value_of(x)
        is_order = op_name(call) == "relax.take" and x in self._behind and is_constant(call.args[1])
        is_order = is_order and len(call.args[1].ty.shape) == 1  # one element drops its axis
        if not is_order or int(call.attrs.axis) % len(static_shape(call.args[0])) != len(static_shape(x)) - 1:
            return None
        return _Ordered(call.args[0], constant_array(call.args[1]).reshape(-1).astype(np.int64))

    def _plain(self, x: Var) -> _Ordered:
        return self._ordered(x) or _Ordered(x, np.arange(static_shape(x)[-1]))

    def _take_of(self, ordered: _Ordered) -> Any:
        """The channels of `ordered`, of no more vectors than they lie in."""
        stored, order = ordered.stored, ordered.order
        shape = static_shape(stored)
        if np.array_equal(order, np.arange(shape[-1])):
            return stored
        begin = int(order.min()) // self._size * self._size
        end = min(shape[-1], -(-(int(order.max()) + 1) // self._size) * self._size)
        if (begin, end) != (0, shape[-1]):
            stored = self._bound(relax.op.strided_slice(stored, [len(shape) - 1], [begin], [end]))
        if np.array_equal(order, np.arange(begin, end)):
            return stored
        return relax.op.take(stored, constant(order - begin), axis=len(shape) - 1, mode="clip")

    def _bound(self, expr: Any) -> Any:
        if isinstance(expr, Var):
            return expr
        var = self.emit(expr)
        self._behind.add(var)
        return var

    def _filled(self, x: Var) -> Any:
        """`x` with zeros up to the end of its last vector."""
        shape = static_shape(x)
        missing = -shape[-1] % self._size
        if not missing:
            return x
        widths = [0] * (2 * len(shape) - 1) + [missing]
        return self._bound(relax.op.nn.pad(x, widths))

    def _is_wasteful(self, ordered: _Ordered) -> bool:
        read = len(static_shape(ordered.stored)) and static_shape(ordered.stored)[-1]
        return -(-read // self._size) > _WASTE * -(-len(ordered.order) // self._size)

    def _arranged(self, x: Any) -> Any:
        """`x` in its own order, by a layer where that takes one."""
        ordered = self._ordered(x)
        if ordered is None:
            return x
        if x not in self._in_order:
            self._in_order[x] = self._ordering_layer(ordered)
        return self._in_order[x]

    def _ordering_layer(self, ordered: _Ordered) -> Var:
        shape, count = static_shape(ordered.stored), len(ordered.order)
        weights = np.zeros((count, shape[-1]), np.float32)
        weights[np.arange(count), ordered.order] = 1
        var = self.add(mixed_channels(ordered.stored, weights), "order of channels")
        self._behind.add(var)
        return var

    def _concat(self, var: Var, value: Call) -> Any:
        parts = list(value.args[0].fields) if isinstance(value.args[0], Tuple) else []
        if not parts or not all(isinstance(x, Var) and x in self._behind for x in parts):
            return value
        rank = len(static_shape(parts[0]))
        axis = int(value.attrs.axis or 0) % rank
        if axis != rank - 1:
            return self._past(var, value, parts, lambda stored: relax.op.concat(stored, axis))
        ordered = [self._plain(x) for x in parts]
        ordered = [
            _Ordered(whole, np.arange(static_shape(whole)[-1]))
            if self._is_wasteful(each) and (whole := self._arranged(x)) is not x
            else each
            for x, each in zip(parts, ordered, strict=True)
        ]
        stored, orders, begin = [], [], 0
        for position, each in enumerate(ordered):
            is_last = position == len(ordered) - 1
            stored.append(each.stored if is_last else self._filled(each.stored))
            orders.append(each.order + begin)
            begin += static_shape(stored[-1])[-1]
        joined = self._bound(relax.op.concat(stored, axis))
        return self._take_of(_Ordered(joined, np.concatenate(orders)))

    def _past(self, var: Var, value: Call, parts: Sequence[Var], build: Any) -> Any:
        """An operator that leaves channels alone, on what is stored, if all have one order."""
        ordered = [self._ordered(x) for x in parts]
        if not any(ordered):
            return value
        plain = [self._plain(x) for x in parts]
        first = plain[0]
        same = all(
            np.array_equal(each.order, first.order)
            and static_shape(each.stored)[-1] == static_shape(first.stored)[-1]
            for each in plain
        )
        if not same or self._is_wasteful(first):
            return build([self._arranged(x) for x in parts])
        moved = self.keep(self._bound(build([each.stored for each in plain])), var)
        return self._take_of(_Ordered(moved, first.order))

    def _slice(self, value: Call) -> Any:
        x = value.args[0]
        shape = static_shape(x)
        if x not in self._behind:
            return value
        places = slices_of(value, shape)
        channels, others = range(*places[-1]), places[:-1]
        plain = self._plain(x)
        stored = plain.stored
        if any(place != (0, extent, 1) for place, extent in zip(others, shape, strict=False)):
            stored = self._bound(sliced(stored, others))
        return self._take_of(_Ordered(stored, plain.order[list(channels)]))

    def _take(self, value: Call) -> Any:
        x = value.args[0]
        is_order = isinstance(x, Var) and x in self._behind and is_constant(value.args[1])
        rank = len(static_shape(x))
        if not is_order or value.attrs.axis is None or int(value.attrs.axis) % rank != rank - 1:
            return value
        chosen = constant_array(value.args[1])
        if chosen.ndim != 1:
            return value
        plain = self._plain(x)
        return self._take_of(_Ordered(plain.stored, plain.order[chosen.astype(np.int64)]))

    def _reshape(self, value: Call, ordered: _Ordered | None, shape: tuple[int, ...]) -> Any:
        x = value.args[0]
        given = static_shape(x)
        if shape and shape[-1] == given[-1]:
            if ordered is None:
                return value
            channels = static_shape(ordered.stored)[-1]
            moved = self._bound(relax.op.reshape(ordered.stored, [*shape[:-1], channels]))
            return self._take_of(_Ordered(moved, ordered.order))
        joined = _joined(given, shape)
        if not joined:
            return value if ordered is None else relax.op.reshape(self._arranged(x), list(shape))
        if ordered is None and given[-1] % self._size == 0:
            return value
        plain = self._plain(x)
        stored = self._filled(plain.stored)
        channels = static_shape(stored)[-1]
        wide = self._bound(relax.op.reshape(stored, [*shape[:-1], joined * channels]))
        order = (np.arange(joined)[:, None] * channels + plain.order).reshape(-1)
        return self._take_of(_Ordered(wide, order))

    def _layer(self, var: Var, value: Call, ordered: Sequence[_Ordered | None]) -> Any:
        """A layer reads what is stored if its weights can take the order, or if it has none."""
        source: Any = source_of(value)
        if refusal(self._calls[var]):
            return value
        has_weights = source.weights is not None
        is_given = self.names[var] in self._given
        x = ordered[0]
        if has_weights and x is not None and not is_given:
            if not source.weights.along_taps:
                return _spread(value, x)
            if x.is_distinct and not self._is_wasteful(x):
                return self._depthwise(var, value, x)
        if facts_of(value).elementwise == 2:
            return self._binary(var, value, tensors(value), ordered)
        if source.weights is None and facts_of(value).channelwise(value):
            return self._past(var, value, [value.args[0]], lambda stored: _on(value, stored))
        return self._in_place(value)

    def _depthwise(self, var: Var, value: Call, x: _Ordered) -> Any:
        source: Any = source_of(value)
        weights = constant_array(value.args[1])
        channels = static_shape(x.stored)[-1]
        spread = np.zeros((channels, *weights.shape[1:]), weights.dtype)
        spread[x.order] = weights
        window = replace(source.window(value), groups=channels)
        layer = source.rewindowed(value, x.stored, constant(spread), window)
        return self._take_of(_Ordered(self.keep(self._bound(layer), var), x.order))

    def _computed(self, var: Var, value: Call, ordered: Sequence[_Ordered | None]) -> Any:
        """Elementwise operators, reductions and the like."""
        facts = facts_of(value)
        operands = tensors(value)
        if facts.elementwise == 2 and len(operands) == 2:
            return self._binary(var, value, operands, ordered)
        if len(operands) == 1 and facts.channelwise(value):
            return self._past(var, value, operands, lambda stored: _on(value, stored))
        # who else reads it may be the host, which has no need of a layer for it
        return value

    def _binary(
        self, var: Var, value: Call, operands: Sequence[Any], ordered: Sequence[_Ordered | None]
    ) -> Any:
        position = next(i for i, each in enumerate(ordered) if each is not None)
        x, other = ordered[position], operands[1 - position]
        if x is None or not is_constant(other):
            shapes = [static_shape(each) for each in operands]
            if shapes[0] == shapes[1]:
                return self._past(var, value, operands, lambda stored: _on(value, stored))
            return self._in_place(value)
        array = constant_array(other)
        if array.size == 1:
            return self._past(
                var, value, [operands[position]], lambda stored: _with(value, position, stored[0])
            )
        if not x.is_distinct or self._is_wasteful(x) or array.shape[-1] != len(x.order):
            return self._in_place(value)
        spread = np.zeros((*array.shape[:-1], static_shape(x.stored)[-1]), array.dtype)
        spread[..., x.order] = array
        args = [x.stored, x.stored]
        args[1 - position] = constant(spread)
        moved = self.keep(self._bound(Call(value.op, args, value.attrs)), var)
        return self._take_of(_Ordered(moved, x.order))

    def _in_place(self, value: Call) -> Any:
        """With its operands in their own order."""
        return Call(value.op, [self._arranged(x) for x in value.args], value.attrs)


def _keeps_channels(call: Call) -> bool:
    rank, axes = len(static_shape(call.args[0])), call.attrs.axes
    return axes is not None and int(axes[-1]) % rank == rank - 1


def _spread(value: Call, x: _Ordered) -> Call:
    """A layer with weights for all channels that are stored."""
    weights = constant_array(value.args[1])
    axis = weight_form(value).inputs % weights.ndim
    shape = list(weights.shape)
    shape[axis] = static_shape(x.stored)[-1]
    spread = np.zeros(shape, weights.dtype)
    np.add.at(np.moveaxis(spread, axis, 0), x.order, np.moveaxis(weights, axis, 0))
    return Call(value.op, [x.stored, constant(spread), *value.args[2:]], value.attrs)


def _on(value: Call, stored: Sequence[Any]) -> Call:
    """The call on other tensors."""
    return Call(value.op, [*stored, *value.args[len(stored) :]], value.attrs)


def _with(value: Call, position: int, x: Any) -> Call:
    args = list(value.args)
    args[position] = x
    return Call(value.op, args, value.attrs)


def _joined(given: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """How many pixels of `given` [..., C] are joined as channels of `shape`; 0 if it is something else."""
    if not shape or shape[-1] % given[-1]:
        return 0
    count = shape[-1] // given[-1]
    inside = 1
    for extent in reversed(given[:-1]):
        if inside == count:
            break
        inside *= extent
    return count if inside == count else 0
