"""Where in the loop nest each scratchpad buffer is filled, and how often.

A buffer is filled in the innermost loop that runs more than once and changes what the buffer holds; inside
that loop its content is reused.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.knobs import Knobs
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.schedule.workload import Workload, nest_of


@dataclass(frozen=True)
class Home:
    """A scratchpad buffer: `loop` counts the loops around its fill, `fills` how often it is filled.

    It has `slots` copies of `entries` each in `scratchpad`. `whole`: one fill is the whole operand, although
    a tile uses less.
    """

    scratchpad: str
    loop: int
    fills: int
    slots: int
    entries: int
    whole: bool = False


def place(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> dict[str, Home]:
    """Homes of the operands, by name."""
    return place_nest(nest_of(workload, hardware), knobs)


def place_nest(nest: LoopNest, knobs: Knobs) -> dict[str, Home]:
    """Homes of the operands, by name."""
    tile = nest.tile(knobs)
    trips, loops = tile.trips, nest.loops[knobs.order]
    running = [(i + 1, loop) for i, loop in enumerate(loops) if trips[loop] > 1]
    homes = {}
    for operand in nest.operands:
        name, pad, size = operand.name, operand.scratchpad, tile.entries[operand.name]
        changes = nest.changed_by[name]
        level = max([i for i, loop in running if loop in changes], default=0)
        whole = operand.resident and 2 * nest.entries[name] <= nest.depths[pad]
        if whole:
            level, size = 0, nest.entries[name]
        fills = prod([trips[loop] for loop in loops[:level]])
        twice = knobs.double_buffer and fills > 1
        homes[name] = Home(pad, level, fills, 2 if twice else 1, size, whole)
    return homes
