"""The layers that a format is chosen for, and the pools and sums that have the format of what they read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm_vsq.errors import ConfigError
from tvm_vsq.graph import definitions
from tvm_vsq.network import refusal
from tvm_vsq.quantize.plan import Plan, QuantizedLayer
from tvm_vsq.tvm_compat import IRModule


@dataclass(frozen=True)
class Choices:
    """What is chosen, in program order.

    layers: those with weights that the accelerator runs and that no rule gives a format. followers: pools,
        sums and products of activations that no rule gives a format. leaders: of each follower by name, the
        layer whose result it reads (first, if several), past other followers and norms; not always one of
        `layers`.
    """

    layers: tuple[QuantizedLayer, ...]
    followers: tuple[QuantizedLayer, ...]
    leaders: dict[str, str]

    def group(self, leader: str) -> list[str]:
        """One of `layers`, and what follows it: they have one format."""
        return [leader, *(name for name, followed in self.leaders.items() if followed == leader)]


def find_choices(module: IRModule, plans: Sequence[Plan], formats: Sequence[str]) -> Choices:
    """plans: of the canonical `module`, in each of `formats` for all layers that have no other by a rule.

    Raises ConfigError if there is no layer to choose a format for.
    """
    values = definitions(module["main"])
    free = [
        same[0]
        for same in zip(*(plan.layers for plan in plans), strict=True)
        if all(layer.config.notation == notation for layer, notation in zip(same, formats, strict=True))
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
    followers = tuple(layer for layer in free if not layer.has_weights)
    leaders: dict[str, str] = {}
    for layer in followers:
        producer = producers[layer.x]
        leaders[layer.name] = leaders.get(producer, producer)
    rows = {layer.name for layer in followers if layer.has_rows}  # numbers that nothing quantizes
    return Choices(
        weighted,
        tuple(layer for layer in followers if layer.name not in rows),
        {name: leader for name, leader in leaders.items() if name not in rows},
    )
