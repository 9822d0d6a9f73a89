"""A quick estimate of a schedule's cycles, to choose a default; tuning measures instead."""

from __future__ import annotations

from math import prod

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.knobs import Knobs
from tvm_vsq.schedule.placement import LOOPS, Home, place, trip_counts
from tvm_vsq.schedule.workload import Workload


def contiguous_entries(work: Workload, knobs: Knobs, hardware: HardwareConfig) -> dict[str, int]:
    """Entries of one fill that are neighbours in DRAM, for each buffer."""
    rows, columns = work.input_tile(knobs.tile_h, knobs.tile_w)
    result = _run(knobs.tile_k, work.kb, knobs.tile_w, work.ow, knobs.tile_h)
    vectors = max(1, result * hardware.output_lanes // hardware.vector_size)
    kernel = work.r * work.s
    return {
        "inp": knobs.tile_c if work.load_steps[1] > 1 else _run(knobs.tile_c, work.cv, columns, work.w, rows),
        "wgt": knobs.tile_c * kernel * (knobs.tile_k if knobs.tile_c == work.cv else 1),
        "par": work.kb,
        "res": vectors,
        "out": vectors,
        "acc": result,
    }


def _run(channels: int, all_channels: int, columns: int, all_columns: int, rows: int) -> int:
    """Neighbouring records of a box in [rows][all_columns][all_channels]."""
    if channels < all_channels:
        return channels
    return channels * (columns if columns < all_columns else columns * rows)


def dram_bytes(work: Workload, knobs: Knobs, hardware: HardwareConfig, homes: dict[str, Home]) -> float:
    """Bytes on the DRAM channel: whole bursts, halos and reloads included.

    `homes` is what place() says. A run of b bytes at a random address covers (b - 1) / burst + 1 bursts on
    average.
    """
    records, burst = hardware.record_bytes, hardware.dram.burst_bytes
    runs = contiguous_entries(work, knobs, hardware)
    moved = 0.0
    for name, home in homes.items():
        if name == "acc" and not work.wide:
            continue
        run = min(runs[name], home.entries)
        run_bytes = run * records[home.scratchpad]
        moved += home.fills * home.entries / run * (run_bytes - 1 + burst)
    return moved


def estimate_cycles(work: Workload, knobs: Knobs, hardware: HardwareConfig) -> float:
    """Roofline plus overheads: the slower of DRAM channel and GEMM/PPU, plus what cannot overlap with
    anything.

    The first loads and the last store, one tile's worth, are serial; without double buffering everything is.
    """
    trips = trip_counts(work, knobs)
    tiles = prod(trips[loop] for loop in LOOPS[knobs.order][:4])
    steps = tiles * trips["c"]
    timing, dram = hardware.timing, hardware.dram
    results = work.n * work.oh * work.ow * work.kb
    compute = (
        work.gemm_cycles
        + 2 * results
        + (steps + tiles) * timing.gemm_pipeline_cycles
        + tiles * timing.ppu_pipeline_cycles
    )
    homes = place(work, knobs, hardware)
    fills = sum(home.fills for name, home in homes.items() if name != "acc")
    overhead = timing.dma_setup_cycles + dram.row_miss_cycles
    moving = dram_bytes(work, knobs, hardware, homes) / dram.bytes_per_cycle + fills * overhead
    if not knobs.double_buffer:
        return compute + moving + 2 * steps * dram.latency_cycles
    return max(compute, moving) + min(compute, moving) / steps + 2 * dram.latency_cycles
