"""What layers are estimated to take, before it is decided whether they are joined."""

from __future__ import annotations

from collections.abc import Sequence

from tvm_vsq.codegen.layer import Layer
from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule import default_knobs
from tvm_vsq.schedule.cost import estimate_cycles, estimated_dram_bytes


def estimated(layers: Sequence[Layer], hardware: HardwareConfig) -> tuple[float, float] | None:
    """Cycles and DRAM bytes of all of them in their default schedules; None if one of them has none."""
    cycles = moved = 0.0
    for layer in layers:
        try:
            knobs = default_knobs(layer.workload, hardware, layer.name)
        except ScheduleError:
            return None
        cycles += estimate_cycles(layer.workload, knobs, hardware)
        moved += estimated_dram_bytes(layer.workload, knobs, hardware)
    return cycles, moved
