"""The last channel group of a layer may lack blocks: accumulators have no entries for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tvm_vsq.codegen.clip import Box


@dataclass(frozen=True)
class Blocks:
    """Accumulators [pixels, groups, blocks of a group] of a tile.

    Those of a pixel are from block `first` of the layer on, and `count` of them exist.
    """

    groups: int
    per_group: int
    first: int
    count: int

    def strides(self, strides: Sequence[int]) -> tuple[int, ...]:
        """Steps between entries that exist, from those between entries of whole groups."""
        whole = self.groups * self.per_group
        return tuple(stride // whole * self.count if stride >= whole else stride for stride in strides)

    def pieces(self, box: Box, dims: Sequence[str]) -> Iterator[tuple[Box, int]]:
        """What of a box of iterations over `dims` is of blocks that exist, and how many of its last group do
        not.
        """
        full, rest = divmod(self.count, self.per_group)
        if full == self.groups:
            yield box, 0
            return
        if full:
            yield box.part(dims, {"k": (0, full)}), 0
        if rest:
            yield box.part(dims, {"k": (full, 1), "b": (0, rest)}), self.per_group - rest
