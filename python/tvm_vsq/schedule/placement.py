"""Where in the loop nest each scratchpad buffer is filled, and how often.

A buffer is filled in the innermost loop that runs more than once and changes what the buffer holds; inside
that loop its content is reused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.access import Count
from tvm_vsq.schedule.knobs import Knobs
from tvm_vsq.schedule.nest import LoopNest, Tile
from tvm_vsq.schedule.workload import Workload, nest_of


@dataclass(frozen=True)
class Home:
    """A scratchpad buffer: `loop` counts the loops around its fill, `fills` how often it is filled.

    It has `slots` copies of `entries` each in `scratchpad`. `whole`: one fill is the whole operand, although
    a tile uses less. `direct`: the entries are the accumulators'.
    """

    scratchpad: str
    loop: Count
    fills: Count
    slots: Count
    entries: Count
    whole: bool = False
    direct: bool = False


def place(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> dict[str, Home]:
    """Homes of the operands, by name."""
    return place_nest(nest_of(workload, hardware), knobs)


def place_nest(nest: LoopNest, knobs: Knobs) -> dict[str, Home]:
    """Homes of the operands, by name."""
    homes = place_tile(nest.tile(knobs), knobs.order, knobs.double_buffer)
    return {
        name: Home(h.scratchpad, int(h.loop), int(h.fills), int(h.slots), int(h.entries), h.whole, h.direct)
        for name, h in homes.items()
    }


def place_tile(tile: Tile, order: str, double_buffer: bool) -> dict[str, Home]:
    """Homes of the operands, by name; of many schedules at once where the tile holds arrays."""
    nest, homes = tile.nest, {}
    for operand in nest.operands:
        name, pad, size = operand.name, operand.scratchpad, tile.entries[operand.name]
        level: Count = 0
        fills: Count = 1
        whole = operand.resident and 2 * nest.entries[name] <= nest.depths[pad]
        if whole:
            size = nest.entries[name]
        around: Count = 1
        for position, loop in enumerate(() if whole else nest.loops[order], 1):
            trips = tile.trips[loop]
            around = around * trips
            if loop in nest.changed_by[name]:
                level = np.where(trips > 1, position, level)
                fills = np.where(trips > 1, around, fills)
        slots = np.where(fills > 1, 2, 1) if double_buffer and not operand.brief else 1
        homes[name] = Home(pad, level, fills, slots, size, whole, operand.direct)
    return homes
