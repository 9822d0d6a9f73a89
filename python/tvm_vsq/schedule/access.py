"""Loop dimensions, and how operands are indexed by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

Count: TypeAlias = Any
"""A number, or an array of one for each of many schedules."""

Sizes = Mapping[str, Count]
"""Iterations of each dimension, by its name: those of a tile, or all."""


@dataclass(frozen=True)
class Dim:
    """A loop of `extent` iterations, parallel or `reduced`.

    `knob` names the tile size that cuts it into tiles; knobs count `units` for each iteration, of which
    `unit_title` speaks in errors. Without a knob it is whole in every tile.

    What restricts the search: tiles of more than one iteration are whole along `inner` dimensions; a kernel,
    cut as a `last_resort`, is whole unless half of a scratchpad does not hold it.
    """

    name: str
    extent: int
    reduced: bool = False
    knob: str | None = None
    units: int = 1
    unit_title: str = ""
    inner: tuple[str, ...] = ()
    last_resort: bool = False

    @property
    def is_tiled(self) -> bool:
        """Whether there is a loop over tiles."""
        return self.knob is not None


def window_dims(rows: int, columns: int) -> tuple[Dim, Dim]:
    """Dimensions r and s of a kernel or window."""
    return (
        Dim("r", rows, True, "tile_r", inner=("s",), last_resort=True),
        Dim("s", columns, True, "tile_s", last_resort=True),
    )


@dataclass(frozen=True)
class Axis:
    """One axis of an operand, `extent` long in DRAM.

    An iteration uses the position that is the sum of coefficient * loop value over `terms` of (dimension,
    coefficient); it lies at position * `step` - `border` in DRAM, and is zero outside of it. An axis without
    terms is whole in every tile.
    """

    extent: int
    terms: tuple[tuple[str, int], ...] = ()
    step: int = 1
    border: int = 0

    @staticmethod
    def along(dim: Dim) -> Axis:
        """The axis whose positions are the iterations of `dim`."""
        return Axis(dim.extent, ((dim.name, 1),))

    @staticmethod
    def window(
        extent: int, out: Dim, taps: Dim, stride: int, dilation: int, borders: tuple[int, int]
    ) -> Axis:
        """The axis over which a window of `taps` moves, with so many zeros before and behind it.

        A window of one tap skips whole positions where its stride is larger; they need not be loaded.
        """
        step = stride if taps.extent == 1 and not any(borders) else 1
        return Axis(extent, ((out.name, stride // step), (taps.name, dilation)), step, borders[0])

    def at(self, values: Mapping[str, Any]) -> Any:
        """The position that an iteration uses; values of all dimensions by name, numbers or expressions."""
        if not self.terms:
            return 0
        (name, coefficient), *others = self.terms
        return sum([values[n] * c for n, c in others], values[name] * coefficient)

    @property
    def is_plain(self) -> bool:
        """Whether positions in DRAM and scratchpad are the same, and all inside."""
        return len(self.terms) <= 1 and self.step == 1 and not self.border

    def span(self, sizes: Sizes) -> Count:
        """Positions that so many iterations use, halo included."""
        if not self.terms:
            return self.extent
        return 1 + sum([coefficient * (sizes[name] - 1) for name, coefficient in self.terms])

    def used(self, sizes: Sizes) -> int:
        """Positions in DRAM that so many iterations use: neither border, nor what they skip."""
        if not self.terms:
            return self.extent
        positions = {0}
        for name, coefficient in self.terms:
            positions = {at + coefficient * i for at in positions for i in range(sizes[name])}
        return sum(0 <= at * self.step - self.border < self.extent for at in positions)


@dataclass(frozen=True)
class Operand:
    """What a nest keeps in `scratchpad`, an entry for each position of `axes` (outermost first).

    `in_dram`: it is copied from there, or, as the result, to there. `constant`: it belongs to the program's
    image, where its name is `title`; one that is `resident` is loaded once where half the scratchpad holds
    all of it. The first three axes of what is not constant are the pixels [n, rows, columns]; with
    `pixel_axes` two, they are [n, columns]. `gathered`: the axes before the last one are [n, rows, groups of
    blocks, blocks of a group] of columns, of which an entry holds output_lanes. `streamed`: it is loaded
    piece by piece, in the course of each tile, into so many entries. `direct`: it is loaded to where
    accumulators are, and has no entries of its own. digits: entries of a vector, along the last axis if there
    are several. stored: it is copied to DRAM besides the result. brief: it is read first thing, so that one
    slot does where others have two.
    """

    name: str
    scratchpad: str
    axes: tuple[Axis, ...]
    in_dram: bool = True
    constant: bool = False
    resident: bool = False
    title: str = ""
    pixel_axes: int = 3
    gathered: bool = False
    streamed: int = 0
    direct: bool = False
    digits: int = 1
    stored: bool = False
    brief: bool = False

    @property
    def extents(self) -> tuple[int, ...]:
        """Extents in DRAM."""
        return tuple(axis.extent for axis in self.axes)

    @property
    def dims(self) -> frozenset[str]:
        """Names of the dimensions that change which entries are used."""
        return frozenset(name for axis in self.axes for name, _ in axis.terms)

    def at(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The scratchpad index that an iteration uses; an axis without terms has one position."""
        return tuple(axis.at(values) for axis in self.axes)

    def entries(self, sizes: Sizes) -> Count:
        """Scratchpad entries of so many iterations."""
        if self.streamed:
            return self.streamed
        return prod([axis.span(sizes) for axis in self.axes])
