"""Copies what moves want in two places at once, and what the host reads but others move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import relax

from tvm_vsq.graph import bindings, definitions, op_name, static_shape, substitute, tensors
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.network import operator_of
from tvm_vsq.network.rebuild import FinalRebuilder
from tvm_vsq.placement.homes import Homes, Moved, find_homes
from tvm_vsq.placement.moves import Move, move_of
from tvm_vsq.quantize.config import QuantConfig
from tvm_vsq.quantize.own_layers import pixels
from tvm_vsq.quantize.plan import Plan, make_plan
from tvm_vsq.transform.homes import accessed
from tvm_vsq.tvm_compat import IRModule, Var

_ROUNDS = 8
"""A copy of what is moved may have to be moved itself, one level of views after the other."""


def copy_shared(module: IRModule, config: QuantConfig, hardware: HardwareConfig) -> IRModule:
    """`module` with layers that copy, so that on the accelerator everything that is moved lies in place.

    What does not after some rounds is left to the host, which `transform.partition` sees to.
    """
    for _ in range(_ROUNDS):
        plan = make_plan(module, config, hardware)
        if not plan.moved:
            return module
        homes, names = _homes(module, plan)
        wanted = {(names[name], position) for name, position in homes.misplaced}
        read = {names[name] for name in homes.scattered}
        if not wanted and not read:
            return module
        module = _Copies(module, plan, wanted, read).rebuilt()
    return module


def _homes(module: IRModule, plan: Plan) -> tuple[Homes, Mapping[str, Var]]:
    """Of what is read on the accelerator; names stand for the variables."""
    values = definitions(module["main"])
    layers = [layer for layer in plan.layers if layer.name not in plan.on_cpu]
    read = {tensor for layer in layers for tensor in _inputs(layer)}
    pending = list(read)
    while pending:
        for operand in plan.moved.get(pending.pop(), ()):
            if operand not in read:
                read.add(operand)
                pending.append(operand)
    moved = [var for var in plan.moved if var in read]
    results = {layer.chain.output for layer in layers}
    number = {var: str(index) for index, var in enumerate(dict.fromkeys([*read, *results]))}
    size = plan.vector_size
    shapes = {number[var]: _records(static_shape(var), size) for var in number}
    moves = [
        Moved(number[var], _move(values[var], size), tuple(number[x] for x in plan.moved[var]))
        for var in moved
    ]
    accesses = [
        (number[var], accessed(operator_of(values[layer.chain.anchor]), shapes[number[var]]))
        for layer in layers
        for var in [*_inputs(layer), layer.chain.output]
    ]
    fixed = {number[var] for var in _read_by_host(module, plan) if var in number and var not in plan.moved}
    fixed |= {number[var] for var in read if var not in plan.moved and var not in results}
    return find_homes(shapes, moves, accesses, fixed), {name: var for var, name in number.items()}


def _inputs(layer: Any) -> list[Var]:
    return [reading.tensor for reading in layer.reads]


def _move(call: Any, size: int) -> Move:
    move = move_of(call, size)
    if move is None:
        raise ValueError("the plan moves what moves no vectors")
    return move


def _records(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    return (*shape[:-1], -(-shape[-1] // size))


def _read_by_host(module: IRModule, plan: Plan) -> set[Var]:
    """Tensors that something else than layers and moves reads, or that the network returns."""
    function = module["main"]
    members = {layer.chain.anchor for layer in plan.layers} | {
        layer.chain.residual_add for layer in plan.layers
    }
    found = {function.body.body, *tensors(function.body.body)}
    for binding in bindings(function):
        if binding.var not in members and binding.var not in plan.moved:
            found.update(x for x in tensors(binding.value) if isinstance(x, Var))
    return found


class _Copies(FinalRebuilder):
    """wanted: operands of concatenations that are copied. read: tensors that layers read copies of."""

    def __init__(self, module: IRModule, plan: Plan, wanted: set[tuple[Var, int]], read: set[Var]) -> None:
        super().__init__(module)
        self._wanted, self._read = wanted, read
        self._moved = plan.moved
        self._anchors = {layer.chain.anchor: layer for layer in plan.layers}
        self._residuals = {
            layer.chain.residual_add: layer for layer in plan.layers if layer.chain.residual_add is not None
        }
        self._copied: dict[Var, Any] = {}

    def rewrite(self, var: Var, value: Any) -> Any:
        if var in self._moved and op_name(value) == "relax.concat":
            fields = [
                pixels(self, x) if (var, position) in self._wanted else x
                for position, x in enumerate(value.args[0].fields)
            ]
            return relax.op.concat(fields, int(value.attrs.axis or 0))
        layer = self._anchors.get(var) or self._residuals.get(var)
        if layer is None:
            return value
        new_of = {self.new(x): self._copy(x) for x in _inputs(layer) if x in self._read}
        return substitute(value, new_of) if new_of else value

    def _copy(self, x: Var) -> Any:
        if x not in self._copied:
            self._copied[x] = pixels(self, self.new(x))
        return self._copied[x]
