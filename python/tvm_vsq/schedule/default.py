"""The schedule of a layer that nobody has tuned."""

from __future__ import annotations

from functools import lru_cache
from math import prod

from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.cost import estimate_cycles
from tvm_vsq.schedule.footprint import candidates, explain_misfit
from tvm_vsq.schedule.knobs import Knobs
from tvm_vsq.schedule.workload import Workload


@lru_cache(maxsize=1024)
def _best(workload: Workload, hardware: HardwareConfig) -> Knobs | None:
    legal = candidates(workload, hardware)
    return min(
        legal, key=lambda k: (estimate_cycles(workload, k, hardware), -tile_macs(workload, k)), default=None
    )


def tile_macs(workload: Workload, knobs: Knobs) -> int:
    """Micro-ops between two loads of the innermost tile."""
    return prod((knobs.tile_h, knobs.tile_w, knobs.tile_k, knobs.tile_c, workload.r, workload.s))


def default_knobs(workload: Workload, hardware: HardwareConfig, layer: str) -> Knobs:
    """The legal schedule with the fewest estimated cycles; ties go to the larger tile.

    The largest tile alone would be a poor rule: a layer that is one tile overlaps nothing.
    ScheduleError, naming the layer and the buffer, if even the smallest tile does not fit.
    """
    workload.check(hardware, layer)
    best = _best(workload, hardware)
    if best is None:
        smallest = Knobs(1, 1, hardware.group_blocks, 1, double_buffer=False)
        text = explain_misfit(workload, smallest, hardware, layer)
        raise ScheduleError(f"no schedule fits: even the smallest tile fails. {text}")
    return best
