"""Makes layers of functions that no layer can take along, so that the accelerator looks them up as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import relax

from tvm_vsq.frontend.pools import identity_pool
from tvm_vsq.graph import Rebuilder, bindings, definitions, replace_main, static_shape, substitute
from tvm_vsq.layers.chains import planned_chains
from tvm_vsq.layers.functions import Applied, FunctionFinder
from tvm_vsq.network import layer_names, refusal, with_layer_names
from tvm_vsq.network.names import weighted_layers, weightless_layers
from tvm_vsq.placement.moves import moved_operands
from tvm_vsq.tvm_compat import IRModule, Var

_IMAGE = 4
"""Axes of what can be pooled."""


def functions_as_layers(module: IRModule) -> IRModule:
    """The canonical `module`, where functions that no layer can take along follow a pool of one pixel.

    These are functions of a layer's result that something else reads as well, or that has a residual, or is
    moved in between. Such a pool is named after the function.
    """
    function = module["main"]
    found = _left_alone(module)
    if not found:
        return module
    names = layer_names(module)
    rebuilt = _Insert(function, found)
    rebuilt_main = rebuilt.run()
    # weightless layers in their new order, of which the pools are named here
    old_of = {rebuilt.new(var): name for var, name in names.items()}
    new_names = {**old_of, **rebuilt.names}
    weighted = [names[var] for var in weighted_layers(function) if var in names]
    weightless = [new_names.get(var, "") for var in weightless_layers(rebuilt_main)]
    return with_layer_names(replace_main(module, rebuilt_main), weighted, weightless)


def _left_alone(module: IRModule) -> dict[Var, Applied]:
    """Functions of the results of layers that are no part of these, by their argument."""
    function, values = module["main"], definitions(module["main"])
    functions = FunctionFinder(function)
    # products are parts of functions, and layers only where they are not
    grown = planned_chains(function, [var for var in layer_names(module) if not refusal(values[var])])
    taken = {var for chain in grown for var in chain.applied}
    outputs = {chain.output for chain in grown}
    found: dict[Var, Applied] = {}
    for binding in bindings(function):
        x, operands = binding.var, moved_operands(binding.value)
        if operands and outputs.issuperset(operands):
            outputs.add(x)
        if x not in outputs or not isinstance(x.ty, relax.TensorType) or len(static_shape(x)) != _IMAGE:
            continue
        applied = functions.beside(x)
        if applied is not None and taken.isdisjoint(applied.members):
            found[x] = applied
            taken.update(applied.members)
    return found


class _Insert(Rebuilder):
    def __init__(self, function: relax.Function, found: Mapping[Var, Applied]) -> None:
        super().__init__(function)
        self._argument = {var: x for x, applied in found.items() for var in applied.members}
        self._found = found
        self._pools: dict[Var, Var] = {}
        self.names: dict[Var, str] = {}

    def rewrite(self, var: Var, value: Any) -> Any:
        x = self._argument.get(var)
        if x is None:
            return value
        if x not in self._pools:
            self._pools[x] = self.emit(identity_pool(self.new(x)))
            word = self._found[x].function.name
            self.names[self._pools[x]] = f"{word}_{sum(word in name for name in self.names.values())}"
        return substitute(value, {self.new(x): self._pools[x]})
