"""The schedule of a layer that nobody has tuned."""

from __future__ import annotations

from functools import lru_cache

from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.footprint import explain_misfit
from tvm_vsq.schedule.knobs import Knobs
from tvm_vsq.schedule.space import space_of
from tvm_vsq.schedule.tiling import smallest_knobs
from tvm_vsq.schedule.workload import Workload


@lru_cache(maxsize=1024)
def _best(workload: Workload, hardware: HardwareConfig) -> Knobs | None:
    return space_of(workload, hardware).best()


def default_knobs(workload: Workload, hardware: HardwareConfig, layer: str) -> Knobs:
    """The legal schedule with the fewest estimated cycles; ties go to the larger tile.

    The largest tile alone would be a poor rule: a layer that is one tile overlaps nothing.
    ScheduleError, naming the layer and the buffer, if even the smallest tile does not fit.
    """
    best = _best(workload, hardware)
    if best is None:
        *_, alone = [name for name in layer.split(" + ") if not name.endswith("/sum")] or [layer]
        text = explain_misfit(workload, smallest_knobs(workload, hardware), hardware, layer)
        raise ScheduleError(
            f"no schedule fits: even the smallest tile fails. {text}; or leave the layer on the CPU: "
            f"tvm_vsq.Rule(layers='{alone}', fp32=True)"
        )
    return best
