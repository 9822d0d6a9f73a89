"""Leave out the iterations of a loop nest that would read the border around an image.

Zeros are no neutral element of a maximum, so windows must end where the image does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from tvm_vsq.codegen.dma import DmaAxis


@dataclass(frozen=True)
class Box:
    """Some iterations of a loop nest: `extents` from `first` on, one of each for a loop."""

    first: tuple[int, ...]
    extents: tuple[int, ...]

    @staticmethod
    def whole(extents: tuple[int, ...]) -> Box:
        """All iterations."""
        return Box((0,) * len(extents), extents)

    def moved(self, by: tuple[int, ...]) -> Box:
        """The same extents, so many iterations further."""
        return Box(tuple(first + step for first, step in zip(self.first, by, strict=True)), self.extents)

    def part(self, dims: Sequence[str], ranges: Mapping[str, tuple[int, int]]) -> Box:
        """What is in these ranges (first, extent) of some dimensions, which replace those of their loops."""
        chosen = [ranges.get(dim, old) for dim, *old in zip(dims, self.first, self.extents, strict=True)]
        return Box(tuple(first for first, _ in chosen), tuple(extent for _, extent in chosen))

    def offset(self, strides: tuple[int, ...]) -> int:
        """Of an address that moves by these strides, at the first iteration."""
        return sum([value * stride for value, stride in zip(self.first, strides, strict=True)])


def boxes_inside(
    extents: Sequence[int], strides: Sequence[int], base: int, shape: Sequence[int], held: Sequence[DmaAxis]
) -> list[Box]:
    """Disjoint boxes that together are all iterations whose entry is no border.

    Iterations use the entry base + sum of loop value * stride of a row-major buffer of `shape`; each loop
    moves along one axis. held: what is border along the axes but the last, which has none.
    """
    pieces: list[list[dict[int, tuple[int, int]]]] = []
    free = dict(enumerate(extents))
    for axis, part in enumerate(held[:-1]):
        entries = prod(shape[axis + 1 :])
        loops = {
            loop: stride // entries
            for loop, stride in enumerate(strides)
            if loop in free and shape[axis] > 1 and stride >= entries
        }
        moving = [(loop, free.pop(loop), step) for loop, step in loops.items()]
        position = base // entries % shape[axis]
        pieces.append(_within(moving, position - part.before, part.size))
    boxes = []
    for together in product(*pieces):
        ranges = {loop: (0, extent) for loop, extent in free.items()}
        for piece in together:
            ranges |= piece
        chosen = [ranges[loop] for loop in range(len(extents))]
        boxes.append(Box(tuple(first for first, _ in chosen), tuple(count for _, count in chosen)))
    return boxes


def _within(loops: list[tuple[int, int, int]], position: int, size: int) -> list[dict[int, tuple[int, int]]]:
    """Ranges of the (loop, extent, step) in which position + sum of value * step is in 0 .. size - 1."""
    if not loops:
        return [{}] if 0 <= position < size else []
    (loop, extent, step), *others = loops
    found: list[tuple[int, int, list[dict[int, tuple[int, int]]]]] = []
    for value in range(extent):
        inner = _within(others, position + value * step, size)
        if found and found[-1][2] == inner:
            first, count, _ = found.pop()
            found.append((first, count + 1, inner))
        else:
            found.append((value, 1, inner))
    return [{loop: (first, count), **each} for first, count, inner in found for each in inner]
