"""Names of layers: from the parameter that holds the weights, else from the kind and position.

Most passes of an import neither reorder layers with weights nor add any, so the order ties names to them; one
that does is a `network.rebuild.LayerRebuilder`, which records the names anew.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence

from tvm import relax

from tvm_vsq.graph import bindings, definitions, tensors
from tvm_vsq.network.source import becomes_weighted, source_of
from tvm_vsq.tvm_compat import IRModule, Var

_WEIGHTED = "vsq_layer_names"
_WEIGHTLESS = "vsq_weightless_names"
_NAME_END = 60
"""Characters, of up to four bytes each."""


def layer_names(module: IRModule) -> dict[Var, str]:
    """The name of each layer of "main", quantizable or not, by the variable it is bound to."""
    values = definitions(module["main"])
    given = recorded_names(module)
    names: dict[Var, str] = {}
    counts: Counter[str] = Counter()
    for variable, value in values.items():
        source = source_of(value)
        if source is None:
            continue
        kind = "" if becomes_weighted(value) else source.word  # layers with weights are numbered together
        default = f"{source.word}_{counts[kind]}"
        counts[kind] += 1
        names[variable] = unused(given.get(variable) or default, set(names.values()))
    return names


def recorded_names(module: IRModule) -> dict[Var, str]:
    """The names that came with the model, by variable; "" for a layer that has none."""
    function = module["main"]
    given: dict[Var, str] = {}
    for attribute, layers in zip((_WEIGHTED, _WEIGHTLESS), _layers(function), strict=True):
        recorded = [str(name) for name in (module.attrs or {}).get(attribute, [])]
        given |= dict(zip(layers, recorded, strict=True)) if len(recorded) == len(layers) else {}
    return given


def with_recorded_names(module: IRModule, names: Mapping[Var, str]) -> IRModule:
    """`module` with these names of layers, by the variables of its "main"; all others get default ones."""
    function = module["main"]
    weighted, weightless = ([names.get(var, "") for var in layers] for layers in _layers(function))
    return with_layer_names(module, weighted, weightless)


def with_layer_names(module: IRModule, names: list[str], weightless: Sequence[str] = ()) -> IRModule:
    """`module` with the names of its layers with and without weights, in program order ("" for default)."""
    return module.with_attr(_WEIGHTED, names).with_attr(_WEIGHTLESS, list(weightless))


def weighted_layers(function: relax.Function) -> list[Var]:
    """The variables bound to a layer with weights, constant or not, in program order.

    Before the canonical form, also those of what becomes one: names are recorded then, by position.
    """
    return [binding.var for binding in bindings(function) if becomes_weighted(binding.value)]


def between(function: relax.Function, layers: Container[Var]) -> set[Var]:
    """What depends on one of `layers`, and on which one depends; these among them."""
    behind: set[Var] = set()
    steps = list(bindings(function))
    for step in steps:
        if any(x in layers or x in behind for x in tensors(step.value)):
            behind.add(step.var)
    before: set[Var] = set()
    for step in reversed(steps):
        if step.var in layers or step.var in before:
            before.update(x for x in tensors(step.value) if isinstance(x, Var))
    return behind & before


def between_layers(function: relax.Function) -> set[Var]:
    """What is made of results of layers with weights, and is read by others, if through other operators."""
    return between(function, set(weighted_layers(function)))


def weightless_layers(function: relax.Function) -> list[Var]:
    """Those bound to a layer without."""
    return _layers(function)[1]


def _layers(function: relax.Function) -> tuple[list[Var], list[Var]]:
    """Layers with weights, and those without."""
    weighted: list[Var] = []
    weightless: list[Var] = []
    for binding in bindings(function):
        if becomes_weighted(binding.value):
            weighted.append(binding.var)
        elif source_of(binding.value) is not None:
            weightless.append(binding.var)
    return weighted, weightless


def name_of_weight(weight: str) -> str:
    """The name of a layer, given that of its weight: "layer1.0.conv1" for "layer1.0.conv1.weight"."""
    return re.sub(r"[._]weight$", "", weight.split(".parametrizations.")[0])


_PART = re.compile(r"/(phase|group|channels|slice|window) [0-9,]+$")


def part_of(name: str, kind: str, number: object) -> str:
    """The name of one of several layers that a layer of the model becomes: "up/phase 0,1"; "" for ""."""
    return f"{name}/{kind} {number}" if name else ""


def whole_of(name: str) -> str:
    """The name in the model of a layer, given that of a part of it."""
    while (shorter := _PART.sub("", name)) != name:
        name = shorter
    return name


def is_group(name: str) -> bool:
    """Whether a layer is a part of a convolution with groups."""
    return bool(re.search(r"/(group|channels) [0-9]+$", name))


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
