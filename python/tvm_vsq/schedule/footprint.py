"""Which schedules fit the scratchpads and the instruction fields."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import layout_of
from tvm_vsq.schedule.access import Count
from tvm_vsq.schedule.knobs import TILES, Knobs
from tvm_vsq.schedule.memories import TITLES
from tvm_vsq.schedule.nest import FieldLimit, LoopNest, Tile
from tvm_vsq.schedule.placement import Home, place_nest
from tvm_vsq.schedule.tiling import check_knobs
from tvm_vsq.schedule.workload import Workload, nest_of


def footprint(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> dict[str, int]:
    """Entries that the layer occupies in each scratchpad, double-buffering slots included.

    The micro-op scratchpad is a cache that the emitter manages, so it is not listed.
    """
    return _used(nest_of(workload, hardware), knobs)


def _used(nest: LoopNest, knobs: Knobs) -> dict[str, int]:
    return entries_used(place_nest(nest, knobs))


def entries_used(homes: Mapping[str, Home]) -> dict[str, Count]:
    """Entries that operands with these homes occupy in each scratchpad."""
    used: dict[str, Count] = dict.fromkeys(TITLES, 0)
    for home in homes.values():
        if not home.direct:
            used[home.scratchpad] = used[home.scratchpad] + home.slots * home.entries
    return used


def misfits(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> list[str]:
    """One sentence for every scratchpad or instruction field that is too small; empty if the schedule is
    legal.
    """
    nest = nest_of(workload, hardware)
    found = []
    for pad, entries in _used(nest, knobs).items():
        if entries > nest.depths[pad]:
            bits = hardware.entry_bits[pad]
            kib = -(-entries * bits // 8192)
            found.append(
                f"the {TITLES[pad]} scratchpad needs {entries} entries and has {nest.depths[pad]}, "
                f"{entries - nest.depths[pad]} too few; {_lower(nest, knobs, pad)}"
                f"raise scratchpads.{pad}_kib to {kib}"
            )
    for limit, largest in _limits(nest):
        value = getattr(knobs, limit.knob)
        if value > largest:
            found.append(
                f"{limit.knob}={value} does not fit the {limit.instruction} field '{limit.field}', which "
                f"ends at {largest}; lower {limit.knob}"
            )
    return found


def _limits(nest: LoopNest) -> list[tuple[FieldLimit, int]]:
    layout = layout_of(nest.hardware)
    return [(limit, layout.limit(limit.instruction, limit.field)) for limit in nest.limits]


def _lower(nest: LoopNest, knobs: Knobs, pad: str) -> str:
    """Which knobs make the largest user of a scratchpad smaller: "lower a, b or c, or "."""
    dims = next(operand.dims for operand in nest.operands if operand.scratchpad == pad)
    sizes = nest.tile(knobs).sizes
    found = [
        name
        for name in TILES
        if (dim := nest.by_knob.get(name)) is not None and dim.name in dims and sizes[dim.name] > 1
    ]
    if not found:
        return ""
    *others, last = found
    return f"lower {', '.join(others)}{' or ' if others else ''}{last}, or "


def fits(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> bool:
    """Whether the schedule is legal."""
    nest = nest_of(workload, hardware)
    return bool(tiles_fit(nest.tile(knobs), place_nest(nest, knobs)))


def tiles_fit(tile: Tile, homes: Mapping[str, Home]) -> Count:
    """Whether scratchpads and instruction fields hold a tile, of which `homes` is what place_tile() says."""
    nest = tile.nest
    legal: Count = True
    for pad, entries in entries_used(homes).items():
        legal = np.logical_and(legal, entries <= nest.depths[pad])
    for limit, largest in _limits(nest):
        dim = nest.by_knob[limit.knob]
        legal = np.logical_and(legal, tile.sizes[dim.name] * dim.units <= largest)
    return legal


def explain_misfit(workload: Workload, knobs: Knobs, hardware: HardwareConfig, layer: str) -> str | None:
    """Why the schedule cannot run, naming layer, buffer, excess and remedy; None if it can."""
    found = misfits(workload, knobs, hardware)
    return f"layer '{layer}' with {knobs}: " + "; ".join(found) if found else None


def require_fit(workload: Workload, knobs: Knobs, hardware: HardwareConfig, layer: str) -> None:
    """ScheduleError with explain_misfit's text unless the schedule is legal."""
    check_knobs(workload, knobs, hardware, layer)
    text = explain_misfit(workload, knobs, hardware, layer)
    if text:
        raise ScheduleError(text)
