"""Which schedules fit the scratchpads and the instruction fields."""

from __future__ import annotations

from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import layout_of
from tvm_vsq.schedule.knobs import Knobs, all_knobs
from tvm_vsq.schedule.placement import place
from tvm_vsq.schedule.workload import Workload

_TITLES = {"inp": "input", "wgt": "weight", "acc": "accumulator", "par": "parameter", "out": "output"}
_SHRINK = {
    "inp": "tile_h, tile_w or tile_c",
    "wgt": "tile_k or tile_c",
    "acc": "tile_h, tile_w or tile_k",
    "par": "tile_k",
    "out": "tile_h, tile_w or tile_k",
}


def footprint(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> dict[str, int]:
    """Entries that the layer occupies in each scratchpad, double-buffering slots included.

    The micro-op scratchpad is a cache that the emitter manages, so it is not listed.
    """
    used = dict.fromkeys(_TITLES, 0)
    for home in place(workload, knobs, hardware).values():
        used[home.scratchpad] += home.slots * home.entries
    return used


def misfits(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> list[str]:
    """One sentence for every scratchpad or instruction field that is too small; empty if the schedule is
    legal.
    """
    used, depths = footprint(workload, knobs, hardware), hardware.depths
    found = []
    for pad, entries in used.items():
        if entries > depths[pad]:
            bits = hardware.entry_bits[pad]
            kib = -(-entries * bits // 8192)
            found.append(
                f"the {_TITLES[pad]} scratchpad needs {entries} entries and has {depths[pad]}, "
                f"{entries - depths[pad]} too few; lower {_SHRINK[pad]}, "
                f"or raise scratchpads.{pad}_kib to {kib}"
            )
    blocks = layout_of(hardware).limit("PPU", "blocks")
    if knobs.tile_k > blocks:
        found.append(
            f"tile_k={knobs.tile_k} does not fit the PPU field 'blocks', which ends at {blocks}; lower tile_k"
        )
    return found


def fits(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> bool:
    """Whether the schedule is legal."""
    depths = hardware.depths
    used = footprint(workload, knobs, hardware)
    blocks = layout_of(hardware).limit("PPU", "blocks")
    return knobs.tile_k <= blocks and all(entries <= depths[pad] for pad, entries in used.items())


def explain_misfit(workload: Workload, knobs: Knobs, hardware: HardwareConfig, layer: str) -> str | None:
    """Why the schedule cannot run, naming layer, buffer, excess and remedy; None if it can."""
    found = misfits(workload, knobs, hardware)
    return f"layer '{layer}' with {knobs}: " + "; ".join(found) if found else None


def require_fit(workload: Workload, knobs: Knobs, hardware: HardwareConfig, layer: str) -> None:
    """ScheduleError with explain_misfit's text unless the schedule is legal."""
    workload.check(hardware, layer)
    knobs.check(workload, hardware, layer)
    text = explain_misfit(workload, knobs, hardware, layer)
    if text:
        raise ScheduleError(text)


def candidates(workload: Workload, hardware: HardwareConfig) -> list[Knobs]:
    """All legal schedules, in a fixed order."""
    # Most tiles are far too large; one comparison rules them out before anything is placed.
    accumulators = hardware.depths["acc"]
    return [
        knobs
        for knobs in all_knobs(workload, hardware)
        if knobs.tile_h * knobs.tile_w * knobs.tile_k <= accumulators and fits(workload, knobs, hardware)
    ]
