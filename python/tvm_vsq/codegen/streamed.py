"""In which pieces parameters come that a scratchpad does not hold at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """`count` entries from number `first` on, which are, or, if it is `loaded`, come to be, in those of a
    buffer from `place` on.
    """

    first: int
    count: int
    place: int
    loaded: bool


def pieces_of(total: int, room: int, most: int, tile: int, group: int = 1) -> Iterator[Piece]:
    """All of `total` entries in a buffer of `room`, no more than `most` at a time, for each tile in turn.
    Pieces are whole groups of entries, as `room` and `most` are; the last one of all may lack some.

    Where what has no room is no more than that, a tile ends with it, in the place of what the tile began
    with, and the next tile goes the other way: it begins with what is there, and nothing between is loaded
    again. Else all is loaded for each tile, into one half while the other one is read.
    """
    if total > 2 * room:
        size = min(most, room // 2 // group * group)
        for number, first in enumerate(range(0, total, size)):
            yield Piece(first, min(size, total - first), number % 2 * size, True)
        return
    moved = -(-(total - room) // group) * group
    head, middle, tail = range(moved), range(moved, room), range(room, total)
    for part in (head, middle, tail) if tile % 2 == 0 else (tail, middle, head):
        is_last = part is (tail if tile % 2 == 0 else head)
        for first in part[::most]:
            count = min(most, part.stop - first)
            yield Piece(first, count, first - room if part is tail else first, tile == 0 or is_last)
