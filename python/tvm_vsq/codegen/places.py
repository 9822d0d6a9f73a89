"""Where in the scratchpads the buffers of one layer after the other go."""

from __future__ import annotations

from collections import deque

from tvm_vsq.hardware import HardwareConfig

_REMEMBERED = 6
"""Layers whose entries may still be in use when those of the next one are loaded."""

Range = tuple[int, int]


class Places:
    """Gives each layer entries that the layers just before it leave free.

    So what it loads has to wait for as few of their instructions as can be.
    """

    def __init__(self, hardware: HardwareConfig) -> None:
        self._depths = hardware.depths
        self._recent: dict[str, deque[Range]] = {}

    def take(self, scratchpad: str, entries: int) -> int:
        """The first of so many entries for the next layer, that all fit."""
        recent = self._recent.setdefault(scratchpad, deque(maxlen=_REMEMBERED))
        last = self._depths[scratchpad] - entries
        borders = [position for first, end in recent for position in (end, first - entries)]
        starts = [start for start in (*borders, 0, last) if 0 <= start <= last]
        start = min(starts, key=lambda start: [_common((start, start + entries), each) for each in recent])
        recent.appendleft((start, start + entries))
        return start


def _common(one: Range, other: Range) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))
