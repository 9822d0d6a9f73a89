"""Offsets of the tensors between layers in one arena: those that are never in use together share bytes.

Greedy by size, as Pisarchyk and Lee call it ("Efficient Memory Management for Deep Neural Net Inference",
arXiv:2001.03288): the largest tensor first, each into the smallest gap between those placed before it that
are in use at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tvm_vsq.codegen.layer import Layer


@dataclass(frozen=True)
class Lifetime:
    """The layers, by their numbers, of which the first writes a tensor and the last reads it."""

    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        """Whether a layer needs both."""
        return self.first <= other.last and other.first <= self.last


def lifetimes(
    layers: Sequence[Layer], tensors: Iterable[str], inputs: Iterable[str], outputs: Iterable[str]
) -> dict[str, Lifetime]:
    """How long each tensor is in use. The host writes inputs before the first layer, in every run anew, and
    reads outputs after the last one.
    """
    first = {layer.result: number for number, layer in enumerate(layers)} | dict.fromkeys(inputs, -1)
    last = {tensor: number for number, layer in enumerate(layers) for tensor in layer.inputs.values()}
    last |= dict.fromkeys(outputs, len(layers))
    return {tensor: Lifetime(first[tensor], last.get(tensor, first[tensor])) for tensor in tensors}


def plan_arena(sizes: Mapping[str, int], alive: Mapping[str, Lifetime], alignment: int) -> dict[str, int]:
    """The offset of each tensor, a multiple of `alignment`; sizes in bytes."""
    offsets: dict[str, int] = {}
    for tensor in sorted(sizes, key=lambda name: -sizes[name]):
        rivals = sorted((offsets[o], sizes[o]) for o in offsets if alive[o].meets(alive[tensor]))
        gaps, end = [], 0
        for start, size in rivals:
            if start - end >= sizes[tensor]:
                gaps.append((start - end, end))
            end = max(end, -(-(start + size) // alignment) * alignment)
        offsets[tensor] = min(gaps)[1] if gaps else end
    return offsets
