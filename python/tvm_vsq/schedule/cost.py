"""A quick estimate of a schedule's cycles, to choose a default; tuning measures instead."""

from __future__ import annotations

from math import prod

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.knobs import Knobs
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.schedule.placement import Home, place_nest
from tvm_vsq.schedule.workload import Workload, nest_of


def dram_bytes(nest: LoopNest, knobs: Knobs, homes: dict[str, Home]) -> float:
    """Bytes on the DRAM channel: whole bursts, halos and reloads included.

    `homes` is what place() says. A run of b bytes at a random address covers (b - 1) / burst + 1 bursts on
    average.
    """
    records, burst = nest.record_bytes, nest.hardware.dram.burst_bytes
    runs = nest.tile(knobs).runs
    moved = 0.0
    for name, home in homes.items():
        if not nest.operand[name].in_dram:
            continue
        run = home.entries if home.whole else runs[name]
        run_bytes = run * records[home.scratchpad]
        moved += home.fills * home.entries / run * (run_bytes - 1 + burst)
    return moved


def estimate_cycles(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> float:
    """Roofline plus overheads: the slowest of DRAM channel, body and finish, plus what cannot overlap with
    anything.

    The first loads, the last results and their store, one tile's worth, are serial; without double buffering
    everything is.
    """
    nest = nest_of(workload, hardware)
    trips = nest.tile(knobs).trips
    tiles = prod([trips[loop] for loop in nest.orders[knobs.order]])
    steps = prod(trips.values())
    timing, dram = hardware.timing, hardware.dram
    body, finish = nest.body.cycles(nest, tiles, steps), nest.finish.cycles(nest, tiles)
    homes = place_nest(nest, knobs)
    # Accumulators that are stored themselves count with their bytes only.
    fills = sum([home.fills for name, home in homes.items() if name != nest.acc.name])
    overhead = timing.dma_setup_cycles + dram.row_miss_cycles
    moving = dram_bytes(nest, knobs, homes) / dram.bytes_per_cycle + fills * overhead
    if not knobs.double_buffer:
        return body + finish + moving + 2 * steps * dram.latency_cycles
    stages = [(body, steps), (finish, tiles), (moving, steps)]
    slowest, pieces = max(stages)
    serial = sum([cycles / count for cycles, count in stages]) - slowest / pieces
    return slowest + serial + 2 * dram.latency_cycles
