"""The formats and machines of the sweeps in docs/sweep.md."""

from __future__ import annotations

from tvm_vsq import HardwareConfig, load_hardware

TECHNOLOGY = "open-45nm"
"""The table that has everything: areas, leakage and the clock, too."""

FORMATS = (
    "8/8/-/-",
    "6/6/-/-",
    "4/8/-/-",
    "4/4/-/-",
    "8/8/6/10",
    "6/8/6/10",
    "6/6/6/6",
    "6/6/4/4",
    "5/5/4/4",
    "4/8/6/10",
    "4/8/4/8",
    "4/6/4/6",
    "4/4/6/10",
    "4/4/6/6",
    "4/4/4/4",
    "3/8/6/10",
    "3/8/4/8",
    "3/4/4/4",
    "3/3/6/6",
    "3/3/4/4",
)
"""W/A/ws/as: with scales per channel, the paper's, and what lies between."""

FEW_FORMATS = ("8/8/-/-", "6/6/6/6", "4/8/6/10", "4/8/4/8", "4/6/4/6", "4/4/6/6", "4/4/4/4", "3/8/6/10")
"""For networks that take minutes to fit."""


def machines() -> dict[str, HardwareConfig]:
    """vsq-accel, and four others by their names."""
    base = load_hardware("vsq-accel")
    small = {f"scratchpads.{pad}_kib": size for pad, size in (("wgt", 32), ("inp", 16), ("acc", 32))}
    return {
        "vsq-accel": base,
        "half the bandwidth": base.with_(**{"dram.bytes_per_cycle": base.dram.bytes_per_cycle // 2}),
        "small scratchpads": base.with_(**small),
        "half the lanes": base.with_(output_lanes=base.output_lanes // 2),
        "twice the lanes": base.with_(output_lanes=base.output_lanes * 2),
    }
