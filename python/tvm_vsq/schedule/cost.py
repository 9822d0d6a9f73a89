"""A quick estimate of a schedule's cycles, to choose a default; tuning measures instead.

It takes many schedules at once: what is a number for one is an array for many.
"""

from __future__ import annotations

from math import prod

import numpy as np

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.access import Count, Operand, Sizes
from tvm_vsq.schedule.knobs import Knobs
from tvm_vsq.schedule.nest import Tile
from tvm_vsq.schedule.placement import Home, place_tile
from tvm_vsq.schedule.workload import Workload, nest_of


def dram_bytes(tile: Tile, homes: dict[str, Home]) -> Count:
    """Bytes on the DRAM channel: whole bursts, halos and reloads included.

    `homes` is what place_tile() says. A run of b bytes at a random address covers (b - 1) / burst + 1 bursts
    on average.
    """
    nest = tile.nest
    records, burst = nest.record_bytes, nest.hardware.dram.burst_bytes
    moved: Count = 0.0
    for name, home in homes.items():
        operand = nest.operand[name]
        if operand.streamed:
            whole = prod(operand.extents) * records[home.scratchpad]
            moved = moved + prod(tile.trips.values()) * (whole - 1 + burst)
            continue
        if not (operand.in_dram or operand.stored):
            continue
        # Entries are a product of sums over the dimensions, so those of the average tile are the average.
        entries = home.entries if home.whole else operand.entries(tile.average)
        run = entries if home.whole else _run(operand, tile.average)
        runs, run_bytes = entries / run, run * records[home.scratchpad]
        if operand.gathered:  # each lane is a row in DRAM, between those of other heads
            lanes = nest.hardware.output_lanes
            runs, run_bytes = runs * lanes, run_bytes / lanes
        moved = moved + home.fills * runs * (run_bytes - 1 + burst)
    return moved


def _run(operand: Operand, sizes: Sizes) -> Count:
    """Neighbouring entries of a box: whole inner axes, and what is held of the next one.

    Rows that are skipped pass for neighbours; only pixels that are skipped do not.
    """
    run: Count = 1
    unbroken: Count = True
    for position, axis in enumerate(reversed(operand.axes)):
        if position == 1 and (axis.step > 1 or operand.gathered):
            break
        span = axis.span(sizes)
        run = np.where(unbroken, run * span, run)
        unbroken = np.logical_and(unbroken, span >= axis.extent)
    return run


def estimate_cycles(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> float:
    """What `estimate` says of one schedule."""
    return float(estimate(nest_of(workload, hardware).tile(knobs), knobs.order, knobs.double_buffer))


def estimated_dram_bytes(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> float:
    """What `dram_bytes` says of one schedule."""
    tile = nest_of(workload, hardware).tile(knobs)
    return float(dram_bytes(tile, place_tile(tile, knobs.order, knobs.double_buffer)))


def estimate(tile: Tile, order: str, double_buffer: bool) -> Count:
    """Roofline plus overheads: the slowest of DRAM channel, body and finish, plus what cannot overlap with
    anything.

    The first loads, the last results and their store, one tile's worth, are serial; without double buffering
    everything is.
    """
    nest, trips = tile.nest, tile.trips
    tiles = prod([trips[loop] for loop in nest.orders[order]])
    steps = prod(trips.values())
    timing, dram = nest.hardware.timing, nest.hardware.dram
    body, finish = nest.body.cycles(nest, tiles, steps), nest.finish.cycles(nest, tiles)
    homes = place_tile(tile, order, double_buffer)
    # Accumulators that are stored themselves count with their bytes only.
    moved = [name for name in homes if nest.operand[name].in_dram and name != nest.acc.name]
    fills = sum([homes[name].fills for name in moved])
    overhead = timing.dma_setup_cycles + dram.row_miss_cycles
    moving = dram_bytes(tile, homes) / dram.bytes_per_cycle + fills * overhead
    if not double_buffer:
        return body + finish + moving + 2 * steps * dram.latency_cycles
    stages = [(body, steps), (finish, tiles), (moving, steps)]
    slowest, pieces = stages[0]
    for cycles, count in stages[1:]:
        slower = (cycles > slowest) | ((cycles == slowest) & (count > pieces))
        slowest, pieces = np.where(slower, cycles, slowest), np.where(slower, count, pieces)
    serial = sum([cycles / count for cycles, count in stages]) - slowest / pieces
    return slowest + serial + 2 * dram.latency_cycles
