"""Names of layers: from the parameter that holds the weights, else from the kind and position."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from tvm import relax

from tvm_vsq.errors import ModelError
from tvm_vsq.graph import bindings, definitions, leaves, op_name
from tvm_vsq.tvm_compat import IRModule, Var

LAYER_OPS = {"relax.nn.conv2d": "conv2d", "relax.matmul": "dense"}
"""Operators that count as layers, and the word their default name starts with."""

_ATTRIBUTE = "vsq_layer_names"
_NAME_END = 60
"""Characters, of up to four bytes each."""


def layer_names(module: IRModule) -> dict[Var, str]:
    """The name of each convolution and matrix product of "main", by the variable it is bound to."""
    layers = layer_variables(module["main"])
    recorded = [str(name) for name in (module.attrs or {}).get(_ATTRIBUTE, [])]
    if len(recorded) != len(layers):
        recorded = [""] * len(layers)
    values = definitions(module["main"])
    names: dict[Var, str] = {}
    for index, (variable, name) in enumerate(zip(layers, recorded, strict=True)):
        default = f"{LAYER_OPS[op_name(values[variable])]}_{index}"
        names[variable] = unused(name or default, set(names.values()))
    return names


def with_layer_names(module: IRModule, names: list[str]) -> IRModule:
    """`module` with the names of its convolutions and matrix products, in program order ("" for default)."""
    return module.with_attr(_ATTRIBUTE, names)


def layer_variables(function: relax.Function) -> list[Var]:
    """Variables bound to a convolution or matrix product, in program order."""
    return [binding.var for binding in bindings(function) if op_name(binding.value) in LAYER_OPS]


def bind_parameters(module: IRModule, qualified: dict[str, str]) -> IRModule:
    """Turn the weights in the function attribute "params" into constants, and record the layers' names.

    qualified: for a weight's Relax parameter, its full name in the source model ("layer1.0.conv1.weight").
    The passes that follow neither reorder layers nor add any, so the order is what ties names to layers.
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
    """The `layer_variables` that will not be folded away, as what `weights` and constants determine is."""
    constants = _without_input(function, weights)
    return [variable for variable in layer_variables(function) if variable not in constants]


def _without_input(function: relax.Function, weights: Collection[Var]) -> set[Var]:
    """`weights`, and the variables that no other parameter has a part in."""
    constants = set(weights)
    for binding in bindings(function):
        if _is_without_input(binding.value, constants):
            constants.add(binding.var)
    return constants


def _is_without_input(value: Any, constants: set[Var]) -> bool:
    return all(leaf in constants for leaf in leaves(value) if isinstance(leaf, Var))


def name_of_weight(weight: str) -> str:
    """The name of a layer, given that of its weight: "layer1.0.conv1" for "layer1.0.conv1.weight"."""
    return re.sub(r"[._]weight$", "", weight.split(".parametrizations.")[0])


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


def _short(name: str) -> str:
    """Both ends of a name that is too long to read; programs take names of at most 1 KiB."""
    if len(name) <= 2 * _NAME_END:
        return name
    return f"{name[:_NAME_END]}...{name[-_NAME_END:]}"


def unused(name: str, taken: set[str]) -> str:
    """`name`, shortened, and with a number if `taken` has it already."""
    name = _short(name)
    candidate, copy = name, 1
    while candidate in taken:
        copy += 1
        candidate = f"{name}#{copy}"
    return candidate
