"""Which schedules fit the scratchpads and the instruction fields."""

from __future__ import annotations

from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import layout_of
from tvm_vsq.schedule.knobs import TILES, Knobs
from tvm_vsq.schedule.memories import TITLES
from tvm_vsq.schedule.nest import FieldLimit, LoopNest, tile_of
from tvm_vsq.schedule.placement import place_nest
from tvm_vsq.schedule.tiling import all_tiles, check_knobs, variants
from tvm_vsq.schedule.workload import Workload, nest_of


def footprint(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> dict[str, int]:
    """Entries that the layer occupies in each scratchpad, double-buffering slots included.

    The micro-op scratchpad is a cache that the emitter manages, so it is not listed.
    """
    return _used(nest_of(workload, hardware), knobs)


def _used(nest: LoopNest, knobs: Knobs) -> dict[str, int]:
    used = dict.fromkeys(TITLES, 0)
    for home in place_nest(nest, knobs).values():
        used[home.scratchpad] += home.slots * home.entries
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
                f"{entries - nest.depths[pad]} too few; {_lower(nest, pad)}"
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


def _lower(nest: LoopNest, pad: str) -> str:
    """Which knobs make the largest user of a scratchpad smaller: "lower a, b or c, or "."""
    dims = next(operand.dims for operand in nest.operands if operand.scratchpad == pad)
    *others, last = [
        "",
        *(name for name in TILES if name in nest.by_knob and nest.by_knob[name].name in dims),
    ]
    if not last:
        return ""
    return f"lower {', '.join(others[1:])}{' or ' if others[1:] else ''}{last}, or "


def fits(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> bool:
    """Whether the schedule is legal."""
    return _fits(nest_of(workload, hardware), knobs)


def _fits(nest: LoopNest, knobs: Knobs) -> bool:
    depths = nest.depths
    return all(entries <= depths[pad] for pad, entries in _used(nest, knobs).items()) and all(
        getattr(knobs, limit.knob) <= largest for limit, largest in _limits(nest)
    )


def explain_misfit(workload: Workload, knobs: Knobs, hardware: HardwareConfig, layer: str) -> str | None:
    """Why the schedule cannot run, naming layer, buffer, excess and remedy; None if it can."""
    found = misfits(workload, knobs, hardware)
    return f"layer '{layer}' with {knobs}: " + "; ".join(found) if found else None


def require_fit(workload: Workload, knobs: Knobs, hardware: HardwareConfig, layer: str) -> None:
    """ScheduleError with explain_misfit's text unless the schedule is legal."""
    workload.check(hardware, layer)
    check_knobs(workload, knobs, hardware, layer)
    text = explain_misfit(workload, knobs, hardware, layer)
    if text:
        raise ScheduleError(text)


def candidates(workload: Workload, hardware: HardwareConfig) -> list[Knobs]:
    """All legal schedules, in a fixed order."""
    nest = nest_of(workload, hardware)
    # Most tiles are far too large; one comparison rules them out before anything is placed.
    acc, depth = nest.acc, nest.depths[nest.acc.scratchpad]
    return [
        knobs
        for tiles in all_tiles(nest)
        if acc.entries(tile_of(nest, tiles).sizes) <= depth
        for knobs in variants(nest, tiles)
        if _fits(nest, knobs)
    ]
