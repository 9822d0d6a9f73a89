"""Which keys of a description cycles depend on, and why: tuned schedules hold for these values alone.

Every key is in one of the two tables. One more in TIMED makes all schedules stale, so that they are tuned
again; one in UNTIMED leaves them as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.memories import MEMORIES

_REASONS: dict[str, tuple[str, ...]] = {
    "the work of one cycle": ("vector_size", "output_lanes"),
    "vectors of a window that stay from one position to the next": ("window_taps",),
    "passes over the digits of an element": ("precision_passes",),
    "bytes of a record, and entries of a scratchpad": (
        "weight_bits",
        "activation_bits",
        "weight_scale_bits",
        "activation_scale_bits",
        "accumulator_bits",
    ),
    "entries of a scratchpad": tuple(f"scratchpads.{memory.kib_field}" for memory in MEMORIES),
    "bank conflicts": tuple(f"scratchpads.banks.{memory.name}" for memory in MEMORIES),
    "transfers": (
        "dram.capacity_mib",
        "dram.bytes_per_cycle",
        "dram.latency_cycles",
        "dram.burst_bytes",
        "dram.row_bytes",
        "dram.row_miss_cycles",
    ),
    "fixed costs and queues": (
        "timing.fetch_cycles",
        "timing.fetch_buffer_bursts",
        "timing.dma_setup_cycles",
        "timing.gemm_pipeline_cycles",
        "timing.vector_pipeline_cycles",
        "timing.row_pipeline_cycles",
        "timing.ppu_pipeline_cycles",
        "timing.command_queue_depth",
        "timing.token_queue_depth",
    ),
    "none today, but what a unit computes may change how long its pipeline is": (
        "scale_product_bits",
        "guard_bits",
        "multiplier_bits",
    ),
}
TIMED = {key: reason for reason, keys in _REASONS.items() for key in keys}
"""Keys that cycles depend on, nested ones by dotted path, with what each decides."""

LATER = {"window_taps": 32, "timing.row_pipeline_cycles": 16, "precision_passes": 1}
"""Keys of TIMED that came later, with the value that leaves cycles of all that there was before as they are:
with it they are left out, and schedules that were tuned without them stay valid.
"""

UNTIMED = {
    "name": "what reports call it",
    "clock_mhz": "how long a cycle takes",
    "technology": "what an event costs",
}
"""Keys that cycles do not depend on."""


def timed_fields(hardware: HardwareConfig) -> dict[str, Any]:
    """The values of the keys in TIMED but those that LATER leaves out, nested as in a description."""
    return _timed(hardware.model_dump(), "")


def _timed(fields: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        key: _timed(value, f"{prefix}{key}.") if isinstance(value, dict) else value
        for key, value in fields.items()
        if isinstance(value, dict) or _counts(prefix + key, value)
    }


def _counts(key: str, value: Any) -> bool:
    return key in TIMED and (key not in LATER or value != LATER[key])
