"""What made networks faster, as switches: `without` puts back what the compiler did before.

A switch changes the compiler in this process and nothing else; the simulated machine is the same. Each gives
valid programs, which are proved free of races as always.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from math import prod
from typing import Any
from unittest.mock import patch

import numpy as np

from tvm_vsq.codegen.kinds import LEAVES
from tvm_vsq.codegen.lower import lower_layer
from tvm_vsq.codegen.micro import MicroOps
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.schedule.cost import dram_bytes
from tvm_vsq.schedule.default import _best
from tvm_vsq.schedule.gemm import RESET, MultiplyAccumulate
from tvm_vsq.schedule.nest import Tile
from tvm_vsq.schedule.placement import Home, place_tile


@dataclass(frozen=True)
class Clear:
    """A tile of accumulators begins: GEMM instructions set it to zero."""

    micro: MicroOps

    def emit(self, emitter: Any, values: list[int]) -> None:
        acc = self.micro.pointers[0].buffer
        emitter.fill(acc)
        emitter.buffers[acc].fresh = False
        self.micro.emit_as("GEMM", {"reset": 1}, emitter, values)


def _clearing() -> Iterator[Any]:
    def cycles(_body: Any, nest: Any, tiles: int, steps: int) -> int:
        pipeline = nest.hardware.timing.gemm_pipeline_cycles
        return nest.iterations + nest.entries["acc"] + (steps + tiles) * pipeline

    yield patch.dict(LEAVES, {RESET: lambda call: Clear(MicroOps(call.dims, call.pointers))})
    yield patch.object(MultiplyAccumulate, "cycles", cycles)


def _one_slot() -> Iterator[Any]:
    def placed(tile: Tile, order: str, double_buffer: bool) -> dict[str, Home]:
        homes, operand = place_tile(tile, order, double_buffer), tile.nest.operand
        return {n: h if operand[n].in_dram else replace(h, slots=1) for n, h in homes.items()}

    for module in ("placement", "space"):
        yield patch(f"tvm_vsq.schedule.{module}.place_tile", placed)
    yield patch("tvm_vsq.schedule.space.estimate", _estimate_of_two)


def _estimate_of_two(tile: Tile, order: str, double_buffer: bool) -> Any:
    """`cost.estimate` for one compute engine beside the DRAM channel."""
    nest, trips = tile.nest, tile.trips
    tiles, steps = prod([trips[loop] for loop in nest.orders[order]]), prod(trips.values())
    timing, dram = nest.hardware.timing, nest.hardware.dram
    compute = nest.body.cycles(nest, tiles, steps) + nest.finish.cycles(nest, tiles)
    homes = place_tile(tile, order, double_buffer)
    fills = sum(home.fills for name, home in homes.items() if name != nest.acc.name)
    overhead = timing.dma_setup_cycles + dram.row_miss_cycles
    moving = dram_bytes(tile, homes) / dram.bytes_per_cycle + fills * overhead
    if not double_buffer:
        return compute + moving + 2 * steps * dram.latency_cycles
    slower, faster = np.maximum(compute, moving), np.minimum(compute, moving)
    return slower + faster / steps + 2 * dram.latency_cycles


def _late_constants() -> Iterator[Any]:
    yield patch("tvm_vsq.codegen.build.prefetch", lambda steps, _hardware: list(steps))


class TwoEnds:
    """Scratchpad entries of one layer after the other: from the start and up to the end, in turns."""

    def __init__(self, hardware: HardwareConfig) -> None:
        self._depths = hardware.depths
        self._layers: dict[str, int] = dict.fromkeys(self._depths, 0)

    def take(self, scratchpad: str, entries: int) -> int:
        self._layers[scratchpad] += 1
        return 0 if self._layers[scratchpad] % 2 else self._depths[scratchpad] - entries


def _two_ends() -> Iterator[Any]:
    yield patch("tvm_vsq.codegen.build.Places", TwoEnds)


def _thin_vectors() -> Iterator[Any]:
    yield patch.object(QuantConfig, "packs_inputs", property(lambda _config: False))


def _even_tiles() -> Iterator[Any]:
    def divisors(extent: int) -> list[int]:
        return [size for size in range(1, extent + 1) if extent % size == 0]

    yield patch("tvm_vsq.schedule.tiling.tile_sizes", divisors)


_THIN = "pixels of a thin input share vectors"

CHANGES: dict[str, Callable[[], Iterator[Any]]] = {
    "the first micro-op of a reduction overwrites: nothing is cleared": _clearing,
    "accumulators in two slots: post-processing and vector unit beside the array": _one_slot,
    "weights, parameters and micro-ops are loaded while earlier layers compute": _late_constants,
    "a layer takes scratchpad entries that recent layers leave free": _two_ends,
    _THIN: _thin_vectors,
    "tiles need not divide what they tile": _even_tiles,
}
"""In the order in which they were made; the patches that put back what was before each."""

OF_QUANTIZING = {_THIN}
"""Those that work where a model is quantized; the others work where code is generated."""


@contextmanager
def without(changes: Collection[str]) -> Iterator[None]:
    """The compiler without these of CHANGES. One thread at a time."""
    with ExitStack() as stack:
        stack.callback(_forget)
        for name in changes:
            for each in CHANGES[name]():
                stack.enter_context(each)
        _forget()
        yield


def _forget() -> None:
    """What was lowered and chosen under other switches."""
    lower_layer.cache_clear()
    _best.cache_clear()
