"""A quick estimate of a schedule's cycles, to choose a default; tuning measures instead.

It takes many schedules at once: what is a number for one is an array for many.
"""

from __future__ import annotations

from math import prod

import numpy as np

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import layout_of
from tvm_vsq.schedule.access import Count, Operand, Sizes
from tvm_vsq.schedule.knobs import Knobs
from tvm_vsq.schedule.nest import Tile
from tvm_vsq.schedule.placement import Home, place_tile
from tvm_vsq.schedule.workload import Workload, nest_of

_ROW = 4
"""Axes of what is gathered before the vectors of a row: n, rows, groups, blocks."""


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
            piece = _streamed(operand) * records[home.scratchpad]
            moved = moved + prod(tile.trips.values()) * (piece - 1 + burst)
            continue
        if not (operand.in_dram or operand.stored):
            continue
        # Entries are a product of sums over the dimensions, so those of the average tile are the average.
        entries = home.entries if home.whole else operand.entries(tile.average)
        record, run = records[home.scratchpad], entries if home.whole else _run(operand, tile.average)
        if operand.gathered:  # from each column of an entry, the vectors of a row
            record = nest.hardware.second_record_bytes
            run = prod(axis.span(tile.average) for axis in operand.axes[_ROW:])
            entries = entries * nest.hardware.output_lanes
        moved = moved + home.fills * entries / run * (run * record - 1 + burst)
    return moved


def _loads(tile: Tile, operand: Operand, home: Home) -> Count:
    """How often it is loaded; what is streamed, a piece at a time."""
    if not operand.streamed:
        return home.fills
    most = layout_of(tile.nest.hardware).limit("PPU", "blocks")
    return prod(tile.trips.values()) * -(-_streamed(operand) // most)


def _streamed(operand: Operand) -> int:
    """Entries that are loaded for each tile (`codegen.streamed`)."""
    whole, room = prod(operand.extents), operand.streamed
    return whole if whole > 2 * room else whole - room


def _run(operand: Operand, sizes: Sizes) -> Count:
    """Neighbouring entries of a box: whole inner axes, and what is held of the next one.

    Rows that are skipped pass for neighbours; only pixels that are skipped do not.
    """
    run: Count = 1
    unbroken: Count = True
    for position, axis in enumerate(reversed(operand.axes)):
        if position == 1 and axis.step > 1:
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
    fills = sum([_loads(tile, nest.operand[name], homes[name]) for name in moved])
    overhead = timing.dma_setup_cycles + dram.row_miss_cycles
    moving = dram_bytes(tile, homes) / dram.bytes_per_cycle + fills * overhead
    if not double_buffer:
        return body + finish + moving + 2 * steps * dram.latency_cycles
    stages = [(body, steps), (finish, tiles), (moving, steps)]
    slowest, pieces = stages[0]
    for cycles, count in stages[1:]:
        slower = (cycles > slowest) | ((cycles == slowest) & (count > pieces))
        slowest, pieces = np.where(slower, cycles, slowest), np.where(slower, count, pieces)
    streamed = [_loads(tile, each, homes[each.name]) for each in nest.operands if each.streamed]
    if streamed:  # loaded in the course of a tile, of which two are under way
        waiting = (overhead + dram.latency_cycles) * sum(streamed)
        stored = homes[nest.result.name].fills * (overhead + dram.latency_cycles)
        slowest = np.maximum(slowest, (body + finish + waiting + stored) / 2)
    serial = sum([cycles / count for cycles, count in stages]) - slowest / pieces
    return slowest + serial + 2 * dram.latency_cycles
