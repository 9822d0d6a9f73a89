"""Offsets of the tensors between layers in one arena: those that are never in use together share bytes.

Greedy by size, as Pisarchyk and Lee call it ("Efficient Memory Management for Deep Neural Net Inference",
arXiv:2001.03288): the largest tensor first, each into the smallest gap between those placed before it that
are in use at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tvm_vsq.codegen.layer import DramTensor, Layer


@dataclass(frozen=True)
class Lifetime:
    """The layers, by their numbers, of which the first writes a tensor and the last reads it."""

    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        """Whether a layer needs both."""
        return self.first <= other.last and other.first <= self.last


def lifetimes(
    layers: Sequence[Layer],
    tensors: Mapping[str, DramTensor],
    inputs: Iterable[str],
    outputs: Iterable[str],
) -> dict[str, Lifetime]:
    """How long each tensor with bytes of its own is in use, by those that lie in it as well. The host writes
    inputs before the first layer, in every run anew, and reads outputs after the last one.
    """
    used: dict[str, list[int]] = {tensor.root: [] for tensor in tensors.values()}
    for number, layer in enumerate(layers):
        for name in (*layer.results, *layer.inputs.values()):
            used[tensors[name].root].append(number)
    for names, number in ((inputs, -1), (outputs, len(layers))):
        for name in names:
            used[tensors[name].root].append(number)
    return {root: Lifetime(min(numbers), max(numbers)) for root, numbers in used.items()}


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
