"""How long the regions of a model take together."""

from __future__ import annotations

from typing import Any

import numpy as np

from tvm_vsq.codegen import lower_region
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.runtime import native
from tvm_vsq.schedule import Database
from tvm_vsq.threads import compiling


def program_cycles(regions: list[Any], hardware: HardwareConfig, database: Database) -> int:
    """Simulated cycles of all regions (Relax functions) together under the schedules of `database`."""
    params, cycles = hardware.sim_params(), 0
    for region in regions:
        with compiling:
            program = lower_region(region, hardware, database)
        ids = np.array(program.layer_ids, dtype="<u4").tobytes()
        run = native.simulate_timing(params, program.instructions, ids, len(program.layer_names))
        cycles += int(run["cycles"])
    return cycles
