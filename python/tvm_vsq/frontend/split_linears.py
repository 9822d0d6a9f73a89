"""Linear layers whose results are only read in parts, as layers of their own: one for each part.

Attention often makes queries, keys and values in one product (nn.MultiheadAttention, GPT-2), and takes them
apart behind it, be it along the channels or along an axis that these were split into. A product of two of the
parts wants them in forms of their own, and one of them transposed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.frontend.given import given_limits, given_weights, with_given_limits, with_given_weights
from tvm_vsq.frontend.permutes import order_of
from tvm_vsq.graph import constant, constant_array, definitions, is_constant, op_name, static_shape, tensors
from tvm_vsq.network import LayerRebuilder, facts_of
from tvm_vsq.network.names import part_of
from tvm_vsq.network.source import becomes_weighted
from tvm_vsq.tvm_compat import Call, IRModule, Var

Picked = npt.NDArray[np.int64]


def split_linears(module: IRModule) -> IRModule:
    """A linear layer of which only parts of the channels are read, some for a product of two activations,
    becomes a layer for each part. No channel may be in two of them.

    Between the layer and the parts may be views, permutes, and operators on each element, alone or with a
    constant, as a bias is. Views must be reshapes by now, and weights constants.
    """
    rebuilder = _SplitLinears(module)
    split = rebuilder.rebuilt()
    if not rebuilder.weights and not rebuilder.limits:
        return split
    split = with_given_weights(split, given_weights(module) | rebuilder.weights)
    return with_given_limits(split, given_limits(module) | rebuilder.limits)


@dataclass(frozen=True)
class _Part:
    """What one reader takes: these channels of the result of `layer`, behind the same operators.

    steps: from the layer on, each operator with the axis that has the channels, and which of that it keeps.
    """

    layer: Var
    channels: tuple[int, ...]
    steps: tuple[tuple[Var, int, Picked], ...]


class _Readers:
    """Of the old function: who reads what."""

    def __init__(self, function: relax.Function) -> None:
        self.values: Mapping[Any, Any] = definitions(function)
        self._of: dict[Any, list[Any]] = {}
        for var, value in self.values.items():
            operands = [value.tuple_value] if isinstance(value, relax.TupleGetItem) else tensors(value)
            for operand in operands:
                self._of.setdefault(operand, []).append(var)
        self._of.setdefault(function.body.body, []).append(None)

    def of(self, var: Any) -> list[Any]:
        """The variables whose values read `var`; None for the function's result."""
        return self._of.get(var, [])

    def reach_product(self, var: Any) -> bool:
        """Whether a product of two activations reads `var`, through anything but layers with weights."""
        waiting, seen = [var], set()
        while waiting:
            for reader in self.of(waiting.pop()):
                if reader is None or reader in seen:
                    continue
                value = self.values[reader]
                if op_name(value) == "relax.matmul" and not any(map(is_constant, value.args)):
                    return True
                seen.add(reader)
                if not becomes_weighted(value):
                    waiting.append(reader)
        return False


class _SplitLinears(LayerRebuilder):
    """weights, limits: what came with the model for the layers that are new, by name."""

    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        self.weights: dict[str, Any] = {}
        self.limits: dict[str, float] = {}
        self._given = given_weights(module), given_limits(module)
        self._readers = _Readers(module["main"])
        self._parts: dict[Var, _Part] = {}
        self._gone: dict[Var, Var] = {}
        self._layers: dict[tuple[Var, tuple[int, ...]], Var] = {}
        for var, value in self._readers.values.items():
            if op_name(value) == "relax.matmul" and is_constant(value.args[1]):
                self._look_at(var, value)

    def _look_at(self, layer: Var, value: Any) -> None:
        """Note what `layer` is to be split into, if it can be."""
        is_unnamed = not self.name_of(layer) and any(self._given)  # integers are kept by name
        if len(static_shape(value.args[1])) != _MATRIX or not isinstance(value.args[0], Var) or is_unnamed:
            return
        found = self._found(layer)
        if found is None:
            return
        parts, gone = found
        channels = sorted({part.channels for part in parts.values()})
        apart = [set(each) for each in channels]
        are_disjoint = sum(map(len, apart)) == len(set().union(*apart))
        if not 1 < len(channels) <= _PARTS or not are_disjoint:
            return
        if any(self._readers.reach_product(var) for var in parts):
            self._parts |= parts
            self._gone |= dict.fromkeys(gone, layer)

    def _found(self, layer: Var) -> tuple[dict[Var, _Part], list[Var]] | None:
        """What is read of a layer's result, by reader, and what is between; None if it is not only parts."""
        values, parts, gone = self._readers.values, {}, [layer]
        for var in gone:  # which grows meanwhile
            for reader in self._readers.of(var):
                value = values.get(reader)
                taken = _taken(reader, value, values) if reader is not None else None
                if taken is not None:
                    part = self._traced(layer, *taken)
                    if part is None:
                        return None
                    parts[reader] = part
                elif _is_between(value):
                    gone.append(reader)
                else:
                    return None
        return parts, gone

    def _traced(self, layer: Var, x: Var, axis: int, picked: Picked) -> _Part | None:
        """What `picked` along an axis of `x` is of the layer; None if it is no part of its channels."""
        steps: list[tuple[Var, int, Picked]] = []
        while not x.same_as(layer):
            steps.append((x, axis, picked))
            call = self._readers.values[x]
            operand = _operand(call)
            if op_name(call) == "relax.permute_dims":
                axis = order_of(call)[axis]
            elif op_name(call) == "relax.reshape":
                before = _before_reshape(static_shape(operand), static_shape(x), axis, picked)
                if before is None:
                    return None
                axis, picked = before
            x = operand
        if axis != len(static_shape(layer)) - 1:
            return None
        return _Part(layer, tuple(int(channel) for channel in picked), tuple(reversed(steps)))

    def rewrite(self, var: Var, value: Any) -> Any:
        if var in self._gone:
            return self.new(self._readers.values[self._gone[var]].args[0])  # nothing reads it any more
        part = self._parts.get(var)
        if part is None:
            return value
        x: Any = self._layer_of(part)
        for step, axis, picked in part.steps:
            x = self._again(step, x, axis, picked)
        return self._shaped(x, static_shape(var))

    def _layer_of(self, part: _Part) -> Var:
        key = part.layer, part.channels
        if key not in self._layers:
            value = self._readers.values[part.layer]
            channels = list(part.channels)
            weights = constant(constant_array(value.args[1])[:, channels])
            call = Call(value.op, [self.new(value.args[0]), weights], value.attrs)
            siblings = sorted(
                {other.channels for other in self._parts.values() if other.layer.same_as(part.layer)}
            )
            whole = self.name_of(part.layer)
            name = part_of(whole, "slice", siblings.index(part.channels))
            self._layers[key] = self.layer(call, name)
            given, limits = self._given
            if whole in given:
                of = given[whole]
                self.weights[name] = replace(
                    of, elements=of.elements[channels], scales=of.scales[channels], gamma=of.gamma[channels]
                )
            if whole in limits:
                self.limits[name] = limits[whole]
        return self._layers[key]

    def _again(self, old: Var, x: Any, axis: int, picked: Picked) -> Any:
        """What computes `old`, of a part."""
        call, shape = self._readers.values[old], list(static_shape(old))
        shape[axis] = len(picked)
        if op_name(call) == "relax.reshape":
            return self._shaped(x, tuple(shape))
        if op_name(call) == "relax.permute_dims":
            order = order_of(call)
            kept = [place for place in order if static_shape(x)[place] != 1]
            if kept == sorted(kept):
                return self._shaped(x, tuple(shape))
            return self.emit(relax.op.permute_dims(x, order))
        operand = _operand(call)
        args = [x if arg.same_as(operand) else arg for arg in call.args]
        for place, arg in enumerate(args):
            if is_constant(arg) and len(arg.ty.shape) >= len(shape) - axis:
                array, along = constant_array(arg), axis - len(shape)
                if array.shape[along] != 1:
                    args[place] = constant(array.take(picked, along))
        return self.emit(Call(call.op, args, call.attrs))

    def _shaped(self, x: Any, shape: tuple[int, ...]) -> Any:
        inner = self.value_of(x)
        x = inner.args[0] if op_name(inner) == "relax.reshape" else x
        return x if static_shape(x) == shape else self.emit(relax.op.reshape(x, shape))


_MATRIX = 2
_PARTS = 16
"""Layers that one may become."""


def _is_between(value: Any) -> bool:
    """Whether a part of what `value` gives can be computed from that part of what it reads."""
    if op_name(value) in ("relax.reshape", "relax.permute_dims", "relax.split"):
        return True
    kind = facts_of(value).elementwise
    return kind == 1 or (kind == 2 and any(map(is_constant, value.args)))


def _operand(call: Any) -> Any:
    """The one tensor that is no constant."""
    return next(arg for arg in call.args if not is_constant(arg))


def _taken(var: Var, value: Any, values: Mapping[Any, Any]) -> tuple[Var, int, Picked] | None:
    """(x, axis, picked) if `value` is a part of `x` along one axis, or one place of it; else None."""
    if isinstance(value, relax.TupleGetItem):
        split: Any = values.get(value.tuple_value)
        if op_name(split) != "relax.split":
            return None
        x = split.args[0]
        axis, shape = int(split.attrs.axis) % len(static_shape(x)), static_shape(x)
        parts = split.ty.fields
        begin = sum(int(part.shape[axis]) for part in list(parts)[: value.index])
        return x, axis, np.arange(begin, begin + int(parts[value.index].shape[axis]))
    if op_name(value) == "relax.strided_slice":
        x, shape = value.args[0], static_shape(value.args[0])
        axes, begins, ends, *rest = ([int(field.value) for field in arg.fields] for arg in value.args[1:])
        strides = rest[0] if rest else [1] * len(axes)
        places = {
            axis % len(shape): np.arange(shape[axis])[slice(*place)]
            for axis, *place in zip(axes, begins, ends, strides, strict=True)
        }
        cut = [axis for axis, picked in places.items() if len(picked) != shape[axis]]
        return (x, cut[0], places[cut[0]]) if len(cut) == 1 else None
    if op_name(value) == "relax.take" and is_constant(value.args[1]) and value.attrs.axis is not None:
        x, picked = value.args[0], constant_array(value.args[1]).astype(np.int64)
        axis = int(value.attrs.axis) % len(static_shape(x))
        return (x, axis, picked.reshape(-1)) if picked.ndim < _MATRIX else None
    return None


def _before_reshape(
    before: tuple[int, ...], after: tuple[int, ...], axis: int, picked: Picked
) -> tuple[int, Picked] | None:
    """Of a reshape from `before` to `after`, whose `axis` keeps what is picked: which axis of `before` that
    is a part of, and which part; None if it is of several axes.
    """
    borders = [[prod(shape[:place]) for place in range(len(shape) + 1)] for shape in (before, after)]
    for place, (low, high) in enumerate(pairwise(borders[0])):
        # the axes of the result that this one was split into
        inside = [
            at for at, (first, last) in enumerate(pairwise(borders[1])) if low <= first and last <= high
        ]
        inside = [at for at in inside if after[at] != 1 or at == axis]
        if axis not in inside or prod(after[at] for at in inside) != before[place]:
            continue
        numbers = np.arange(before[place]).reshape([after[at] for at in inside])
        return place, numbers.take(picked, inside.index(axis)).reshape(-1)
    return None
