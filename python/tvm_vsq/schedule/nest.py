"""A workload on one accelerator as a loop nest: everything about its schedules follows from this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import prod
from typing import Any, Protocol

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.access import Count, Dim, Operand, Sizes
from tvm_vsq.schedule.knobs import TILES, Knobs, Tiles


class Body(Protocol):
    """What an iteration does: an instruction that updates accumulator entries, and one that clears them
    before.
    """

    def inside(self, nest: LoopNest) -> tuple[str, ...]:
        """Parallel dimensions of more than one iteration that one micro-op covers, besides the lanes."""

    def compute(self, nest: LoopNest, pads: Mapping[str, Any]) -> Any:
        """Tensor expression of the accumulators, over the axes of nest.acc and then the lanes.

        pads: the loaded operands by name. Its reduction runs over the reduced dimensions, in their order,
        and then over what one micro-op reduces.
        """

    def intrinsics(self, nest: LoopNest) -> tuple[str | None, str | None]:
        """Names of the registered tensor intrinsics that update and clear; None if nothing is cleared, or if
        the expression is a call already, which reduces by itself.
        """

    def cycles(self, nest: LoopNest, tiles: Count, steps: Count) -> Count:
        """Estimated cycles; results are made in `tiles`, each in steps / tiles pieces of the reduction."""


class Finish(Protocol):
    """What turns the accumulators of a tile into results."""

    def compute(self, nest: LoopNest, acc: Any, pads: Mapping[str, Any]) -> Any:
        """Tensor expression over the axes of nest.result and then its lanes."""

    def cycles(self, nest: LoopNest, tiles: Count) -> Count:
        """Estimated cycles."""


@dataclass(frozen=True)
class FieldLimit:
    """A knob that goes into a field of an instruction."""

    knob: str
    instruction: str
    field: str


@dataclass(frozen=True, eq=False)
class LoopNest:
    """Iterations over `dims`, each of which does `body` on `operands`; `finish` follows once a tile is
    reduced.

    operands: in the order of the layer's arguments; exactly one is named "acc". `result` names what is
    stored. orders: the loops over tiles of parallel dimensions, outermost first, by the name of the order.
    blocks: accumulator entries of a pixel that are not padding; others are neither computed nor moved.
    """

    hardware: HardwareConfig
    dims: tuple[Dim, ...]
    operands: tuple[Operand, ...]
    result_name: str
    body: Body
    finish: Finish
    blocks: int
    orders: Mapping[str, tuple[str, ...]]
    limits: tuple[FieldLimit, ...] = ()

    @cached_property
    def dim(self) -> Mapping[str, Dim]:
        """Dimensions by name."""
        return {dim.name: dim for dim in self.dims}

    @cached_property
    def operand(self) -> Mapping[str, Operand]:
        """Operands by name."""
        return {operand.name: operand for operand in self.operands}

    def existing(self, count: int) -> int:
        """Of so many iterations or entries for all blocks of whole channel groups, those that exist."""
        return count * self.blocks // prod([axis.extent for axis in self.acc.axes[3:]])

    @property
    def acc(self) -> Operand:
        """What the body accumulates."""
        return self.operand["acc"]

    @property
    def result(self) -> Operand:
        """What is stored."""
        return self.operand[self.result_name]

    @cached_property
    def loads(self) -> tuple[Operand, ...]:
        """What is loaded."""
        return tuple(o for o in self.operands if o.in_dram and o.name != self.result_name and not o.streamed)

    @cached_property
    def scratch(self) -> tuple[Operand, ...]:
        """What is neither loaded for a tile nor stored, besides accumulators and results: TensorIR does not
        know it.
        """
        names = (self.acc.name, self.result_name)
        return tuple(o for o in self.operands if o.streamed or not (o.in_dram or o.name in names))

    @cached_property
    def constants(self) -> tuple[Operand, ...]:
        """What belongs to the program's image."""
        return tuple(operand for operand in self.operands if operand.constant)

    @cached_property
    def reduced(self) -> tuple[Dim, ...]:
        """Reduced dimensions."""
        return tuple(dim for dim in self.dims if dim.reduced)

    @cached_property
    def tiled(self) -> tuple[Dim, ...]:
        """Dimensions with a loop over tiles."""
        return tuple(dim for dim in self.dims if dim.is_tiled)

    @cached_property
    def by_knob(self) -> Mapping[str, Dim]:
        """Dimensions by the knob that tiles them."""
        return {dim.knob: dim for dim in self.dims if dim.knob is not None}

    @cached_property
    def loops(self) -> Mapping[str, tuple[str, ...]]:
        """All loops over tiles, outermost first, by the name of the order: reduced ones are innermost."""
        reduced = tuple(dim.name for dim in self.reduced if dim.is_tiled)
        return {order: (*parallel, *reduced) for order, parallel in self.orders.items()}

    @cached_property
    def changed_by(self) -> Mapping[str, frozenset[str]]:
        """For each operand, the dimensions that change which entries are used."""
        return {operand.name: operand.dims for operand in self.operands}

    @cached_property
    def extents(self) -> Mapping[str, int]:
        """Iterations of each dimension."""
        return {dim.name: dim.extent for dim in self.dims}

    @cached_property
    def entries(self) -> Mapping[str, int]:
        """Entries of each whole operand."""
        return {operand.name: operand.entries(self.extents) for operand in self.operands}

    @cached_property
    def iterations(self) -> int:
        """Iterations of all dimensions together."""
        return prod(self.extents.values())

    @cached_property
    def depths(self) -> Mapping[str, int]:
        """Entries of each scratchpad."""
        return self.hardware.depths

    @cached_property
    def record_bytes(self) -> Mapping[str, int]:
        """DRAM bytes of an entry of each scratchpad."""
        return self.hardware.record_bytes

    def tile(self, knobs: Knobs) -> Tile:
        """What a tile of these knobs is."""
        return tile_of(self, knobs.tiles)

    def in_whole_tiles(self, knobs: Knobs) -> LoopNest:
        """With the extents rounded up to whole tiles; of an image with a border, only that grows."""
        sizes = self.tile(knobs).sizes
        dims = tuple(
            replace(dim, extent=-(-dim.extent // sizes[dim.name]) * sizes[dim.name]) for dim in self.dims
        )
        extents = {dim.name: dim.extent for dim in dims}
        operands = []
        for operand in self.operands:
            axes = [
                replace(axis, extent=axis.span(extents)) if axis.is_plain else axis for axis in operand.axes
            ]
            operands.append(replace(operand, axes=tuple(axes)))
        return replace(self, dims=dims, operands=tuple(operands))


@dataclass(frozen=True, eq=False)
class Tile:
    """A tile of `sizes` iterations of each dimension; the last one along a dimension is what is left."""

    nest: LoopNest
    sizes: Sizes

    @cached_property
    def trips(self) -> Sizes:
        """How many tiles there are along each dimension that has a loop over them."""
        return {dim.name: -(-dim.extent // self.sizes[dim.name]) for dim in self.nest.tiled}

    @cached_property
    def is_even(self) -> Count:
        """Whether no last tile is smaller than the others."""
        even: Count = True
        for dim in self.nest.tiled:
            even = even & (dim.extent % self.sizes[dim.name] == 0)
        return even

    @cached_property
    def average(self) -> Sizes:
        """Iterations of each dimension in one tile, the last ones included: fractions."""
        return {dim.name: dim.extent / self.trips.get(dim.name, 1) for dim in self.nest.dims}

    @cached_property
    def entries(self) -> Mapping[str, Count]:
        """Scratchpad entries of each operand."""
        return {operand.name: operand.entries(self.sizes) for operand in self.nest.operands}


@lru_cache(maxsize=4096)
def tile_of(nest: LoopNest, tiles: Tiles) -> Tile:
    """The tile of these knobs, in the order of TILES."""
    knobs = dict(zip(TILES, tiles, strict=True))
    sizes = {}
    for dim in nest.dims:
        size = None if dim.knob is None else knobs[dim.knob]
        sizes[dim.name] = dim.extent if size is None else size // dim.units
    return Tile(nest, sizes)
