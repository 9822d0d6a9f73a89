"""The weights of a module as constants, and the names of the layers they belong to."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tvm import relax

from tvm_vsq.errors import ModelError
from tvm_vsq.graph import bindings, definitions, leaves
from tvm_vsq.network import with_layer_names
from tvm_vsq.network.names import name_of_weight, weighted_layers
from tvm_vsq.tvm_compat import IRModule, Var


def bind_parameters(module: IRModule, qualified: dict[str, str]) -> IRModule:
    """Turn the weights in the function attribute "params" into constants, and record the layers' names.

    qualified: for a weight's Relax parameter, its full name in the source model ("layer1.0.conv1.weight").
    """
    # unreachable layers would shift the order
    module = relax.transform.DeadCodeElimination()(module)
    function = module["main"]
    attrs = dict(function.attrs) if function.attrs else {}
    weights = list(attrs.get("params", []))
    count = int(attrs.get("num_input", len(function.params)))
    if weights and len(weights) != len(function.params) - count:
        raise ModelError(
            f"'main' has {len(function.params)} parameters, of which num_input={count} are inputs, but its "
            f"attribute 'params' holds {len(weights)} weights; attach one weight per remaining parameter"
        )
    held = list(function.params[count:]) if weights else []
    names = _names_from_weights(function, {var: qualified.get(var.name, var.name) for var in held})
    if held:
        module = relax.transform.BindParams("main", dict(zip(held, weights, strict=True)))(module)
    function = module["main"].without_attr("params") if "params" in attrs else module["main"]
    plain = IRModule({module.get_global_var("main"): function})
    return with_layer_names(plain, names)


def _names_from_weights(function: relax.Function, weights: dict[Var, str]) -> list[str]:
    values = definitions(function)
    constants = _without_input(function, weights)
    names = []
    for variable in live_layers(function, weights):
        weight = values[variable].args[1]
        # an operand that depends on an input is an activation, whatever weights it also depends on
        sources = _sources(weight, values) if _is_without_input(weight, constants) else []
        names.append(name_of_weight(weights[sources[0]] if sources else ""))
    return names


def live_layers(function: relax.Function, weights: Collection[Var] = ()) -> list[Var]:
    """The `weighted_layers` that will not be folded away, as what `weights` and constants determine is."""
    constants = _without_input(function, weights)
    return [variable for variable in weighted_layers(function) if variable not in constants]


def _without_input(function: relax.Function, weights: Collection[Var]) -> set[Var]:
    """`weights`, and the variables that no other parameter has a part in."""
    constants = set(weights)
    for binding in bindings(function):
        if _is_without_input(binding.value, constants):
            constants.add(binding.var)
    return constants


def _is_without_input(value: Any, constants: set[Var]) -> bool:
    return all(leaf in constants for leaf in leaves(value) if isinstance(leaf, Var))


def _sources(expr: Any, values: dict[Var, Any]) -> list[Var]:
    """The function parameters `expr` is computed from, nearest operand first."""
    pending, seen = [expr], set()
    sources = []
    while pending:
        leaf = pending.pop()
        if not isinstance(leaf, Var) or leaf in seen:
            continue
        seen.add(leaf)
        if leaf in values:
            pending.extend(reversed(leaves(values[leaf])))
        else:
            sources.append(leaf)
    return sources
