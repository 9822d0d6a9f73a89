"""The layers that a format is chosen for, and the others that have the format of what they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tvm_vsq.errors import ConfigError
from tvm_vsq.graph import definitions, tensors
from tvm_vsq.network import refusal
from tvm_vsq.quantize.plan import Plan, QuantizedLayer
from tvm_vsq.tvm_compat import IRModule


@dataclass(frozen=True)
class Choices:
    """What is chosen, in program order.

    layers: those with weights that the accelerator runs and that no rule gives a format. followers: pools,
        sums and products of activations that no rule gives a format. rows: likewise softmaxes and norms: what
        they read are numbers that nothing quantizes, so they have no format of their own, but cost energy.
        leaders, row_leaders: of each of `followers`, and of `rows`, by name, the layer whose result it reads
        (first, if several), past others of them and what is no layer; not always one of `layers`. One that
        reads no layer's result has none.
    """

    layers: tuple[QuantizedLayer, ...]
    followers: tuple[QuantizedLayer, ...]
    rows: tuple[QuantizedLayer, ...]
    leaders: dict[str, str]
    row_leaders: dict[str, str]

    @property
    def all(self) -> tuple[QuantizedLayer, ...]:
        """All that the accelerator runs in the format that is chosen."""
        return (*self.layers, *self.followers, *self.rows)

    def group(self, leader: str) -> list[str]:
        """One of `layers`, and what follows it: they have one format."""
        return [leader, *_led(self.leaders, leader)]

    def costing(self, leader: str) -> list[str]:
        """`group`, and the layers on rows whose energy depends on its format."""
        return [*self.group(leader), *_led(self.row_leaders, leader)]


def find_choices(module: IRModule, plans: Sequence[Plan], formats: Sequence[str]) -> Choices:
    """plans: of the canonical `module`, in each of `formats` for all layers that have no other by a rule.

    Raises ConfigError if there is no layer to choose a format for.
    """
    values = definitions(module["main"])
    by_name = [{layer.name: layer for layer in plan.layers} for plan in plans]
    # one that an accelerator can run in some of the formats only is left as each plan has it
    in_all = [name for name in by_name[0] if all(name in layers for layers in by_name)]
    free = [
        by_name[0][name]
        for name in in_all
        if all(plan[name].config.notation == each for plan, each in zip(by_name, formats, strict=True))
    ]
    weighted = tuple(
        layer
        for layer in free
        if layer.has_weights
        and not refusal(values[layer.chain.anchor])  # a depthwise layer costs no accelerator anything
    )
    if not weighted:
        raise ConfigError("the rules leave no layer for which a format could be chosen; drop some of them")
    producers = {layer.chain.output: layer.name for layer in plans[0].layers}
    unweighted = tuple(layer for layer in free if not layer.has_weights)
    leaders: dict[str, str] = {}
    for layer in unweighted:
        producer = _producer(layer.x, values, producers)
        if producer is not None:
            leaders[layer.name] = leaders.get(producer, producer)
    rows = {layer.name for layer in unweighted if layer.has_rows}
    return Choices(
        weighted,
        tuple(layer for layer in unweighted if layer.name not in rows),
        tuple(layer for layer in unweighted if layer.name in rows),
        {name: leader for name, leader in leaders.items() if name not in rows},
        {name: leader for name, leader in leaders.items() if name in rows},
    )


def _led(leaders: Mapping[str, str], leader: str) -> list[str]:
    return [name for name, followed in leaders.items() if followed == leader]


def _producer(x: Any, values: Mapping[Any, Any], producers: Mapping[Any, str]) -> str | None:
    """The layer that `x` comes from, of several operands the first; None if it comes from inputs alone.

    Between them may be whatever the CPU computes, or what is part of the layer that reads it: a sum of rows,
    a factor, a view.
    """
    waiting, seen = [x], set()
    while waiting:
        var = waiting.pop()
        if var in producers:
            return producers[var]
        if var in values and var not in seen:
            seen.add(var)
            waiting.extend(reversed(tensors(values[var])))
    return None
