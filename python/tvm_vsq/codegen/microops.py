"""Fold a micro-op loop nest into instructions: two hardware loops over a list of micro-ops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np
import numpy.typing as npt

from tvm_vsq.isa.table import UOP_FIELDS

MEMORIES = tuple(field.name for field in UOP_FIELDS)
"""The scratchpads that a micro-op has an index into."""

Vector = tuple[int, ...]
"""Entries or steps, parallel to MEMORIES."""

_ZERO = (0,) * len(MEMORIES)
_ACC = MEMORIES.index("acc")


@dataclass(frozen=True)
class MicroLoop:
    """`extent` iterations, each `step` further."""

    extent: int
    step: Vector

    @property
    def reduces(self) -> bool:
        """Whether all iterations are of the same accumulators."""
        return not self.step[_ACC]


@dataclass(frozen=True)
class MicroProgram:
    """One instruction: `offsets` int64 [micro-ops, memories], repeated by two loops.

    fresh: of how many micro-ops, the first ones, the first iterations are the first of all to visit their
    accumulator; those of a loop that reduces but the first are not.
    """

    outer: MicroLoop
    inner: MicroLoop
    offsets: npt.NDArray[np.int64]
    fresh: int


@lru_cache(maxsize=1024)
def fold_loops(loops: tuple[MicroLoop, ...], extent_limit: int, uop_limit: int) -> tuple[MicroProgram, ...]:
    """Instructions that together run the nest once; the order of accumulation is free, all sums being
    integers.

    The two loops with the most iterations become hardware loops, so that the list of micro-ops, which has to
    be loaded, is shortest. Nests beyond `extent_limit` iterations or `uop_limit` micro-ops are split into
    several instructions.
    """
    joined = _join([loop for loop in loops if loop.extent > 1], extent_limit)
    return tuple(_fold(joined, _ZERO, True, extent_limit, uop_limit))


def _join(loops: list[MicroLoop], limit: int) -> list[MicroLoop]:
    """Make one loop of two wherever the outer one continues the inner one's steps."""
    for outer, inner in permutations(loops, 2):
        continues = all(a == inner.extent * b for a, b in zip(outer.step, inner.step, strict=True))
        if continues and outer.extent * inner.extent <= limit:
            rest = [loop for loop in loops if loop is not outer and loop is not inner]
            return _join([*rest, MicroLoop(outer.extent * inner.extent, inner.step)], limit)
    return loops


def _fold(
    loops: list[MicroLoop], base: Vector, fresh: bool, limit: int, uop_limit: int
) -> Iterator[MicroProgram]:
    unit = MicroLoop(1, _ZERO)
    outer, inner, *rest = [*sorted(loops, key=lambda loop: -loop.extent), unit, unit]
    if outer.extent > limit:
        for start in range(0, outer.extent, limit):
            moved = tuple(b + start * s for b, s in zip(base, outer.step, strict=True))
            piece = MicroLoop(min(limit, outer.extent - start), outer.step)
            first = fresh and (start == 0 or not outer.reduces)
            yield from _fold([piece, inner, *rest], moved, first, limit, uop_limit)
        return
    offsets, visited = np.array([base], dtype=np.int64), int(fresh)
    for loop in sorted(rest, key=lambda loop: not loop.reduces):
        visited *= 1 if loop.reduces else loop.extent
        steps = np.arange(loop.extent, dtype=np.int64)[:, None] * np.array(loop.step, dtype=np.int64)
        offsets = (offsets[:, None] + steps[None]).reshape(-1, len(MEMORIES))
    for start in range(0, len(offsets), uop_limit):
        chunk = offsets[start : start + uop_limit]
        yield MicroProgram(outer, inner, chunk, min(max(visited - start, 0), len(chunk)))
