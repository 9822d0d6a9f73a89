"""Which tiles and loop orders a loop nest has."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.knobs import TILES, Knobs, Tiles
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.schedule.workload import Workload, nest_of


def check_knobs(workload: Workload, knobs: Knobs, hardware: HardwareConfig, layer: str) -> None:
    """ScheduleError if a tile does not divide its extent, or the loop order is unknown."""
    nest = nest_of(workload, hardware)
    for name, tile, extent in zip(TILES, knobs.tiles, _extents(nest), strict=True):
        if tile < 1 or extent % tile:
            raise ScheduleError(
                f"layer '{layer}': {name}={tile} does not divide {extent}; use one of {divisors(extent)}"
            )
    for name, dim in nest.by_knob.items():
        tile = getattr(knobs, name)
        if tile % dim.units:
            raise ScheduleError(
                f"layer '{layer}': {name}={tile} is not a multiple of the {dim.units} {dim.unit_title}"
            )
    if knobs.order not in nest.orders:
        raise ScheduleError(
            f"layer '{layer}': unknown loop order '{knobs.order}'; known are {', '.join(nest.orders)}"
        )


def _extents(nest: LoopNest) -> list[int]:
    dims = [nest.by_knob.get(name) for name in TILES]
    return [1 if dim is None else dim.extent * dim.units for dim in dims]


def divisors(extent: int) -> list[int]:
    """All divisors, ascending."""
    return [d for d in range(1, extent + 1) if extent % d == 0]


def all_tiles(nest: LoopNest) -> Iterator[Tiles]:
    """Every combination of perfect tiles, in the order of TILES."""
    dims = [nest.by_knob.get(name) for name in TILES]
    yield from product(*([1] if d is None else [d.units * i for i in divisors(d.extent)] for d in dims))


def variants(nest: LoopNest, tiles: Tiles) -> Iterator[Knobs]:
    """Knobs of these tiles in every loop order and buffering."""
    for order, double_buffer in product(nest.orders, (True, False)):
        yield Knobs(*tiles, order, double_buffer)


def smallest_knobs(workload: Workload, hardware: HardwareConfig) -> Knobs:
    """The schedule that needs the least of every scratchpad."""
    nest = nest_of(workload, hardware)
    return Knobs(*next(all_tiles(nest)), next(iter(nest.orders)), False)
