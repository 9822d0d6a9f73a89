"""Which tiles and loop orders a loop nest has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.access import Count, Sizes
from tvm_vsq.schedule.knobs import TILES, WHOLE, Knobs
from tvm_vsq.schedule.nest import LoopNest, Tile
from tvm_vsq.schedule.workload import Workload, nest_of


def check_knobs(workload: Workload, knobs: Knobs, hardware: HardwareConfig, layer: str) -> None:
    """ScheduleError if a tile is larger than its extent, or the loop order is unknown."""
    nest = nest_of(workload, hardware)
    for name, tile, extent in zip(TILES, knobs.tiles, _extents(nest), strict=True):
        if tile is not None and not 1 <= tile <= extent:
            raise ScheduleError(f"layer '{layer}': {name}={tile} is not in 1..{extent}")
    for name, dim in nest.by_knob.items():
        tile = getattr(knobs, name)
        if tile is not None and tile % dim.units:
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


def tile_sizes(extent: int) -> list[int]:
    """The smallest size for each number of tiles, ascending: others only make the last tile smaller."""
    return sorted({-(-extent // count) for count in range(1, extent + 1)})


def tiles_of(nest: LoopNest) -> Tile:
    """All tiles worth considering, as arrays: those that dimensions permit, and of which no operand is larger
    than its scratchpad.
    """
    whole = {dim.name: dim.extent for dim in nest.dims if not dim.is_tiled or dim.last_resort}
    if not _fits(nest, {**dict.fromkeys(nest.extents, 1), **whole}, slots=2):
        whole = {dim.name: dim.extent for dim in nest.dims if not dim.is_tiled}
    count, sizes = 1, dict[str, Count](whole)
    for knob in TILES:
        dim = nest.by_knob.get(knob)
        if dim is None or dim.name in whole:
            continue
        choice = np.array(tile_sizes(dim.extent))
        sizes = {name: np.repeat(np.broadcast_to(size, count), len(choice)) for name, size in sizes.items()}
        sizes[dim.name] = np.tile(choice, count)
        kept = _fits(nest, {**dict.fromkeys(nest.extents, 1), **sizes}, slots=1) & _permitted(nest, sizes)
        sizes = {name: size[kept] for name, size in sizes.items()}
        count = int(kept.sum())
    return Tile(nest, sizes)


def _fits(nest: LoopNest, sizes: Sizes, slots: int) -> Any:
    """Whether `slots` times each operand fits its scratchpad, were it alone there."""
    fits: Any = True
    for operand in (each for each in nest.operands if not each.direct):
        fits = np.logical_and(fits, slots * operand.entries(sizes) <= nest.depths[operand.scratchpad])
    return fits


def _permitted(nest: LoopNest, sizes: Sizes) -> Any:
    """Whether dimensions permit these sizes, as far as they are known."""
    permitted: Any = True
    for dim in nest.dims:
        for inner in dim.inner:
            if dim.name in sizes and inner in sizes:
                whole = sizes[inner] == nest.extents[inner]
                permitted = permitted & ((sizes[dim.name] == 1) | whole)
    return permitted


def knobs_of(nest: LoopNest, sizes: Mapping[str, int], order: str, double_buffer: bool) -> Knobs:
    """The knobs of a tile of these sizes."""
    found: dict[str, int | None] = {}
    for name in TILES:
        dim = nest.by_knob.get(name)
        size = 1 if dim is None else sizes[dim.name]
        is_default = name in WHOLE and (dim is None or size == dim.extent)
        found[name] = None if is_default else size if dim is None else size * dim.units
    return Knobs(**found, order=order, double_buffer=double_buffer)  # type: ignore[arg-type]


def smallest_knobs(workload: Workload, hardware: HardwareConfig) -> Knobs:
    """The schedule that needs the least of every scratchpad."""
    nest = nest_of(workload, hardware)
    return knobs_of(nest, dict.fromkeys(nest.extents, 1), next(iter(nest.orders)), False)
