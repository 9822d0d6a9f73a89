"""What the regions of a model cost together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_vsq.codegen import lower_region
from tvm_vsq.hardware import HardwareConfig, layer_energy, load_technology
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.isa import UNITS
from tvm_vsq.runtime import native
from tvm_vsq.schedule import Database
from tvm_vsq.threads import compiling


@dataclass(frozen=True)
class Cost:
    """Simulated `cycles` and `energy_pj` of one inference."""

    cycles: int
    energy_pj: float

    def improves(self, other: Cost, cycles: float = 0) -> bool:
        """Whether more than so many `cycles` are saved, and so is energy times delay.

        Else the last cycles would be bought with traffic (Horowitz et al., "Low-Power Digital Design", 1994:
        energy-delay product).
        """
        saved = other.cycles - self.cycles
        return saved > cycles and self.cycles * self.energy_pj < other.cycles * other.energy_pj


def program_cost(regions: list[Any], hardware: HardwareConfig, database: Database) -> Cost:
    """Cost of all regions (Relax functions) together under the schedules of `database`."""
    params, technology = hardware.sim_params(), load_technology(hardware.technology)
    cycles, energy = 0, 0.0
    for region in regions:
        with compiling:
            program = lower_region(region, hardware, database)
        ids = np.array(program.layer_ids, dtype="<u4").tobytes()
        run = native.simulate_timing(params, program.instructions, ids, len(program.layer_names))
        cycles += int(run["cycles"])
        events = dict(zip(EVENTS, np.sum(run["events"], axis=0).tolist(), strict=True))
        busy = dict(zip(UNITS, np.sum(run["busy"], axis=0).tolist(), strict=True))
        energy += sum(layer_energy(events, hardware, technology, int(run["cycles"]), busy).values())
    return Cost(cycles, energy)
