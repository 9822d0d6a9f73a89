"""Small accelerators for tests of programs: one base, what differs from it, and random number formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tvm_vsq.formats import ELEMENT_BITS, SCALE_BITS
from tvm_vsq.hardware import HardwareConfig, parse_hardware

BASE: dict[str, Any] = {
    "name": "test",
    "vector_size": 8,
    "output_lanes": 8,
    "weight_bits": 4,
    "activation_bits": 4,
    "weight_scale_bits": 4,
    "activation_scale_bits": 4,
    "accumulator_bits": 32,
    "guard_bits": 2,
    "clock_mhz": 500,
    "technology": "horowitz-45nm",
    "scratchpads": {
        "uop_kib": 2,
        "inp_kib": 4,
        "wgt_kib": 32,
        "acc_kib": 16,
        "par_kib": 8,
        "out_kib": 4,
        "banks": {"uop": 4, "inp": 4, "wgt": 1, "acc": 1, "par": 1, "out": 4},
    },
    "dram": {
        "capacity_mib": 1,
        "bytes_per_cycle": 16,
        "latency_cycles": 100,
        "burst_bytes": 64,
        "row_bytes": 4096,
        "row_miss_cycles": 20,
    },
    "timing": {
        "fetch_cycles": 1,
        "fetch_buffer_bursts": 2,
        "dma_setup_cycles": 8,
        "gemm_pipeline_cycles": 8,
        "vector_pipeline_cycles": 6,
        "ppu_pipeline_cycles": 10,
        "command_queue_depth": 4,
        "token_queue_depth": 2,
    },
}


def accelerator(*changes: Mapping[str, Any]) -> HardwareConfig:
    """BASE with some keys replaced, by one mapping after the other; nested groups are merged."""
    data = {**BASE}
    for change in changes:
        for key, value in change.items():
            data[key] = {**data[key], **value} if isinstance(value, Mapping) else value
    return parse_hardware(data, "test")


def random_formats(rng: np.random.Generator, entries: Mapping[str, int]) -> dict[str, Any]:
    """Keys of any number formats and array, with scratchpads of at least `entries`; of weights, per group."""
    vector, lanes = int(rng.choice([8, 16, 32, 64])), int(rng.choice([4, 8, 16, 32, 64]))
    bits = [int(b) for b in rng.integers(ELEMENT_BITS[0], ELEMENT_BITS[1] + 1, 2)]
    scales = [int(b) if b else None for b in rng.integers(0, SCALE_BITS[1] + 1, 2) * (rng.random(2) < 0.8)]
    full = sum(scale or 0 for scale in scales)
    weight, activation = (vector * b + (scale or 0) for b, scale in zip(bits, scales, strict=True))
    sizes = {
        "inp": activation,
        "out": activation,
        "wgt": max(vector, lanes) * weight,
        "acc": lanes * 46,
        "par": lanes * 88,
        "uop": 33,
    }
    return {
        "vector_size": vector,
        "output_lanes": lanes,
        "weight_bits": bits[0],
        "activation_bits": bits[1],
        "weight_scale_bits": scales[0],
        "activation_scale_bits": scales[1],
        "scale_product_bits": int(rng.integers(1, full + 1)) if full and rng.integers(2) else None,
        "accumulator_bits": 46,
        "guard_bits": int(rng.integers(0, 9)),
        "scratchpads": {f"{pad}_kib": entries[pad] * size // 8192 + 1 for pad, size in sizes.items()},
    }
