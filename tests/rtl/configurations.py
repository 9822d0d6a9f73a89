"""Accelerators of any widths, whose RTL is tested."""

from __future__ import annotations

import numpy as np
from tests.accelerators import accelerator, random_formats

from tvm_vsq.hardware import HardwareConfig, parse_hardware

ENTRIES = dict.fromkeys(("inp", "out", "wgt", "acc", "par"), 2)
_LONGEST_CYCLES = {"gemm": 13, "vector": 9, "row": 19}


def shortest_cycles(hardware: HardwareConfig) -> dict[str, int]:
    """The least `*_pipeline_cycles` of each unit, counted by hand (docs/rtl.md)."""
    scaled = hardware.activation_scale_bits is not None
    ppu = 7 + hardware.group_blocks if scaled else 6
    return {"gemm": 4, "vector": 6, "row": 11, "ppu": ppu}


def with_passes(hardware: HardwareConfig, passes: int) -> HardwareConfig:
    """The same accelerator, with elements of up to so many digits."""
    described = {**hardware.model_dump(), "precision_passes": passes}
    return parse_hardware(described, f"{hardware.name}+{passes}")


def random_accelerator(seed: int) -> HardwareConfig:
    """Any widths, any digits, arrays of up to 32 lanes, any pipelines that there is room for, any bus."""
    rng = np.random.default_rng(seed)
    formats = random_formats(rng, ENTRIES | {"uop": 33})
    formats |= {
        "output_lanes": min(32, formats["output_lanes"]),
        "accumulator_bits": int(rng.integers(16, 47)),
        "multiplier_bits": int(rng.integers(4, 17)),
        "precision_passes": seed % 4 + 1,
    }
    dram = {"bytes_per_cycle": 1 << int(rng.integers(1, 6))}
    least = shortest_cycles(accelerator(formats))
    longest = _LONGEST_CYCLES | {"ppu": least["ppu"] + 9}
    timing = {
        f"{unit}_pipeline_cycles": int(rng.integers(low, longest[unit] + 1)) for unit, low in least.items()
    }
    return accelerator(formats, {"dram": dram, "timing": timing, "name": f"random-{seed}"})
