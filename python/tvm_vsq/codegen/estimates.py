"""Whether layers do better joined, as estimates have it."""

from __future__ import annotations

from collections.abc import Sequence

from tvm_vsq.codegen.layer import Layer
from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule import default_knobs
from tvm_vsq.schedule.cost import estimate_cycles, estimated_dram_bytes

_CLEARLY = 0.995
"""What estimates leave out may be as much as what is between this and 1."""


def are_better(joined: Sequence[Layer], apart: Sequence[Layer], hardware: HardwareConfig) -> bool:
    """Whether the product of cycles and of DRAM bytes, which most of the energy goes to, is lower where
    `joined` take the place of others, all in their default schedules.
    """
    together, limits = _estimated(joined, hardware), _estimated(apart, hardware)
    if together is None or limits is None:
        return False
    return together[0] * together[1] < _CLEARLY * limits[0] * limits[1]


def _estimated(layers: Sequence[Layer], hardware: HardwareConfig) -> tuple[float, float] | None:
    """Cycles and DRAM bytes of all of them; None if one of them fits in no schedule."""
    cycles = moved = 0.0
    for layer in layers:
        try:
            knobs = default_knobs(layer.workload, hardware, layer.name)
        except ScheduleError:
            return None
        cycles += estimate_cycles(layer.workload, knobs, hardware)
        moved += estimated_dram_bytes(layer.workload, knobs, hardware)
    return cycles, moved
