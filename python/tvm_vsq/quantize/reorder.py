"""Puts channels of like magnitude into the same vectors, so that the scale of a vector suits all of it.

Which channels share a vector is nothing that VS-Quant decides: it takes the order of the model. Inside a
network that order is free: when the output channels of one layer, everything channelwise after it, and the
input channels of the layers that read it are permuted alike, the network computes the same function. Yuan et
al. ("RPTQ: Reorder-based Post-training Quantization for Large Language Models", arXiv 2304.01089, 2023) order
channels so by their ranges, into a few clusters of one scale each; here every vector has a scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.frontend.given import given_weights
from tvm_vsq.graph import (
    Rebuilder,
    bindings,
    constant,
    constant_array,
    definitions,
    is_constant,
    leaves,
    replace_main,
    static_shape,
)
from tvm_vsq.network import facts_of, layer_names, refusal, source_of, weight_form
from tvm_vsq.quantize.calibration import observe
from tvm_vsq.tvm_compat import Call, IRModule, Var

Order = npt.NDArray[np.int64]

_ATTRIBUTE = "vsq_channel_orders"


@dataclass(frozen=True)
class _Group:
    """A layer, what follows it channel by channel, and the layers that read the result."""

    producer: Var
    members: tuple[Var, ...]
    consumers: tuple[Var, ...]


def reorder_channels(module: IRModule, data: Any) -> IRModule:
    """The canonical `module` with the channels between its layers sorted by their energy on `data`.

    Channels of inputs and results, of tensors that anything but a layer reads in their order, and of layers
    whose integers came with the model stay. fp32 results differ by the order of sums alone.
    """
    function = module["main"]
    values = definitions(function)
    names = layer_names(module)
    given = given_weights(module)
    fixed = {var for var, name in names.items() if name in given}
    groups = [group for group in _groups(function) if fixed.isdisjoint((group.producer, *group.consumers))]
    inputs = [values[group.consumers[0]].args[0] for group in groups]
    energy = [np.zeros(static_shape(x)[-1]) for x in inputs]
    for batch in observe(module, inputs, data):
        for total, x in zip(energy, batch, strict=True):
            total += np.square(x.reshape(-1, x.shape[-1]), dtype=np.float64).sum(axis=0)
    orders = [np.argsort(-total, kind="stable") for total in energy]
    produced = {group.producer: order for group, order in zip(groups, orders, strict=True)}
    members = {var: order for group, order in zip(groups, orders, strict=True) for var in group.members}
    consumed = {var: order for group, order in zip(groups, orders, strict=True) for var in group.consumers}
    orders_by_layer = {
        names[var]: {
            side: [int(channel) for channel in of_side[var]]
            for side, of_side in (("inputs", consumed), ("outputs", {**members, **produced}))
            if var in of_side
        }
        for var in names
        if var in produced or var in consumed or var in members
    }
    permuted = replace_main(module, _Permute(function, produced, members, consumed).run())
    return permuted.with_attr(_ATTRIBUTE, orders_by_layer)


def channel_orders(module: IRModule) -> dict[str, dict[str, list[int]]]:
    """By layer, for "inputs" and "outputs" that were moved: the channel of the model that each one was."""
    return {
        str(name): {str(side): [int(channel) for channel in order] for side, order in sides.items()}
        for name, sides in (module.attrs or {}).get(_ATTRIBUTE, {}).items()
    }


def _groups(function: relax.Function) -> list[_Group]:
    values: dict[Var, Any] = definitions(function)
    readers: dict[Var, list[Var]] = {}
    for binding in bindings(function):
        for leaf in leaves(binding.value):
            if isinstance(leaf, Var):
                readers.setdefault(leaf, []).append(binding.var)
    layers = [binding.var for binding in bindings(function) if _is_layer(binding.value)]
    grown = (_grow(layer, values, readers, function.body.body) for layer in layers)
    return [group for group in grown if group is not None]


def _grow(
    producer: Var, values: Mapping[Var, Any], readers: Mapping[Var, list[Var]], result: Any
) -> _Group | None:
    """All that depends on the order of the producer's channels; None if that leaves the network's inside."""
    members, consumers, pending = [producer], [], [producer]
    while pending:
        var = pending.pop()
        if var.same_as(result):
            return None
        for reader in dict.fromkeys(readers.get(var, [])):
            call = values[reader]
            if _is_layer(call) and call.args[0].same_as(var):
                consumers.append(reader)
            elif not facts_of(call).channelwise(call):
                return None
            elif reader not in members:
                members.append(reader)
                pending.append(reader)
    channels = static_shape(producer)[-1]
    if any(static_shape(var)[-1] != channels for var in members):
        return None  # broadcast to more channels than there were
    operands = {leaf for var in members[1:] for leaf in leaves(values[var]) if isinstance(leaf, Var)}
    if not consumers or not operands <= set(members):
        return None
    return _Group(producer, tuple(members[1:]), tuple(consumers))


def _is_layer(call: Any) -> bool:
    """Whether a call mixes channels by constant weights that can be reordered."""
    source = source_of(call)
    form = None if source is None else source.weights
    return form is not None and not form.along_taps and not refusal(call)


class _Permute(Rebuilder):
    """Permutes the constants of each layer and member by the orders of the groups they belong to."""

    def __init__(
        self,
        function: relax.Function,
        produced: Mapping[Var, Order],
        members: Mapping[Var, Order],
        consumed: Mapping[Var, Order],
    ) -> None:
        super().__init__(function)
        self._produced, self._members, self._consumed = produced, members, consumed

    def rewrite(self, var: Var, value: Any) -> Any:
        if var in self._produced or var in self._consumed:
            weights = constant_array(value.args[1])
            form = weight_form(value)
            sides = ((form.outputs, self._produced.get(var)), (form.inputs, self._consumed.get(var)))
            for axis, order in sides:
                weights = weights if order is None else weights.take(order, axis)
            return Call(value.op, [value.args[0], constant(weights)], value.attrs)
        if var not in self._members or not isinstance(value, Call):
            return value
        order, source = self._members[var], source_of(value)
        axis = -1 if source is None or source.weights is None else source.weights.outputs
        return Call(value.op, [_permuted(arg, order, axis) for arg in value.args], value.attrs)


def _permuted(operand: Any, order: Order, axis: int) -> Any:
    """A constant with as many channels in the new order; all else, and what is the same for all, as it is."""
    if not is_constant(operand):
        return operand
    array = constant_array(operand)
    is_per_channel = array.ndim > 0 and array.shape[axis] == len(order) and len(order) > 1
    return constant(array.take(order, axis)) if is_per_channel else operand
