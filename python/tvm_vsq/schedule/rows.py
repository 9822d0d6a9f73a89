"""Whole rows as a workload: numbers of 32 bits that come back from DRAM become accumulators, and their rows
are normalized or become probabilities before the PPU takes them (docs/numerics.md, section 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from tvm import te, tirx

from tvm_vsq.formats.table import TABLE_SEGMENTS
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.access import Axis, Count, Operand
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.schedule.postprocess import corners, post_processed, result_dims
from tvm_vsq.schedule.weightless import Weightless

ROWS = "vsq.rows"


@dataclass(frozen=True)
class Turns:
    """Factors by which pairs of numbers of rows are turned, `blocks` of output_lanes for each pixel.

    repeated: for n, h and w, whether there is a single one. constant: whether they belong to the program.
    """

    repeated: tuple[bool, bool, bool]
    blocks: int
    constant: bool

    @property
    def key(self) -> str:
        """Stable text for tuning databases."""
        repeated = "".join(str(int(single)) for single in self.repeated)
        return f"-turn{self.blocks}x{repeated}c{int(self.constant)}"

    def operands(self, acc: Operand) -> tuple[Operand, Operand]:
        """The factors, and room for the rows of `acc` as they were."""
        pixels = zip(self.repeated, acc.axes[:3], strict=True)
        axes = (*(Axis(1) if single else axis for single, axis in pixels), Axis(self.blocks))
        return (
            Operand("turns", "acc", axes, constant=self.constant, title="factors"),
            replace(acc, name="kept", in_dram=False, single=True),
        )


@dataclass(frozen=True)
class Rows(Weightless):
    """[n, h, w] rows of `kb` blocks of output_lanes numbers, each a row of accumulators.

    other: for n, h and w, whether the tensor that is added first has a single one; None if there is none.
    constant: whether that belongs to the program.
    program: what is done with rows, as short text. passes: over all entries of a row, and `reductions` of
    them.
    tables: looked up. turns: of rows whose numbers are turned. `wide` results are int32 in DRAM instead of
    requantized vectors; `beside`: they are stored beside these, which the PPU makes with parameters of their
    own, if these are not `shared`.
    """

    n: int
    h: int
    w: int
    kb: int
    program: str
    passes: int
    reductions: int
    tables: int
    other: tuple[bool, bool, bool] | None
    wide: bool
    beside: bool = False
    shared: bool = False
    turns: Turns | None = None
    constant: bool = False

    @property
    def key(self) -> str:
        """Stable text for tuning databases."""
        other = "" if self.other is None else "-add" + "".join(str(int(single)) for single in self.other)
        other += "c" if self.constant else ""
        turns = "" if self.turns is None else self.turns.key
        shape = f"n{self.n}h{self.h}w{self.w}kb{self.kb}"
        beside = "-beside" * self.beside + "-shared" * self.shared
        return f"{self.program}-{shape}{other}{turns}-wide{int(self.wide)}{beside}"

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """Dimensions n, h, w, k, b of the result; a tile has whole rows."""
        *pixels, k, b = result_dims(self.n, self.h, self.w, self.kb, hardware)
        dims = (*pixels, replace(k, knob=None), b)
        axes = tuple(map(Axis.along, dims))
        inputs = [Operand("inp", "acc", axes, direct=True)]
        if self.other is not None:
            repeated = (
                Axis(1) if single else axis for single, axis in zip(self.other, axes[:3], strict=True)
            )
            other = Operand("other", "acc", (*repeated, *axes[3:]), constant=self.constant, single=True)
            inputs.append(replace(other, title="constant rows"))
        nest = post_processed(dims, tuple(inputs), LoadRows(), hardware, blocks=self.kb, wide=self.wide)
        return with_row_program(nest, self.finish(), self.turns)

    def finish(self, follows: bool = False) -> RowFinish:
        """What becomes of rows; follows: see `RowFinish`."""
        return RowFinish(
            self.passes,
            self.reductions,
            self.tables,
            follows=follows,
            adds=self.other is not None,
            beside=self.beside,
            shared=self.shared,
            turns=self.turns is not None,
        )

    def text(self, channels: tuple[int, int], hardware: HardwareConfig) -> str:
        """The shape for reports, such as "12x128x128"."""
        return self.tensor_text(self.h, self.w, channels[0], hardware)


def with_row_program(nest: LoopNest, finish: RowFinish, turns: Turns | None = None) -> LoopNest:
    """`nest`, whose tiles are whole rows, with what a row program needs: a group of accumulators for each
    row, "row", and tables "tab0", ..., or `turns`, "turns" and "kept".
    """
    hardware = nest.hardware
    pixels = nest.acc.axes[:3]
    entries = -(-TABLE_SEGMENTS // hardware.output_lanes)
    row = Operand("row", "acc", (*pixels, Axis(hardware.group_blocks)), in_dram=False, single=True)
    looked_up = [
        Operand(f"tab{i}", "par", (Axis(entries),), constant=True, resident=True, title=f"table {i}")
        for i in range(finish.tables)
    ]
    kept = [replace(each, stored=finish.beside) if each is nest.acc else each for each in nest.operands]
    if finish.beside and not finish.shared:
        values = replace(nest.operand["par"], name="par_beside", title="parameters of numbers beside")
        looked_up.append(values)
    own = (row,) if turns is None else turns.operands(nest.acc)
    operands = _fitting((*kept, *own, *looked_up), nest)
    orders = dict.fromkeys(nest.orders, ("n", "h", "w"))
    return replace(nest, operands=operands, finish=finish, orders=orders, limits=())


def _fitting(operands: tuple[Operand, ...], nest: LoopNest) -> tuple[Operand, ...]:
    """`operands`, where parameters of whole rows that do not fit beside tables come piece by piece."""
    depth, group = nest.depths["par"], nest.hardware.group_blocks
    held = [operand for operand in operands if operand.scratchpad == "par"]
    streamed = [operand for operand in held if operand.dims]
    if sum(prod(operand.extents) for operand in held) <= depth:
        return operands
    room = depth - sum(prod(operand.extents) for operand in held if not operand.dims)
    share = max(2, room // len(streamed) // group) * group
    return tuple(
        replace(operand, streamed=share, resident=False) if operand in streamed else operand
        for operand in operands
    )


@dataclass(frozen=True)
class LoadRows:
    """acc = what "inp" holds: a LOAD."""

    def inside(self, nest: LoopNest) -> tuple[str, ...]:
        """None."""
        return ()

    def compute(self, nest: LoopNest, pads: Mapping[str, Any]) -> Any:
        """Accumulators int64 over the axes of acc and then the lanes."""
        shape, x = (*nest.acc.extents, nest.hardware.output_lanes), pads["inp"]
        return te.compute(shape, lambda *index: x[index].astype("int64"), name="acc")

    def intrinsics(self, nest: LoopNest) -> tuple[None, None]:
        """No instruction but the copy."""
        return None, None

    def cycles(self, nest: LoopNest, tiles: Count, steps: Count) -> Count:
        """None of an engine that computes."""
        return 0


@dataclass(frozen=True)
class RowFinish:
    """The program of rows on a whole tile, and the PPU.

    passes, reductions, tables: see `Rows`. follows: whether the PPU makes the rows of what the body
    accumulates, in place, before; adds: whether "other" is added to them then; beside, shared: see `Rows`.
    turns: whether there are "turns".
    """

    passes: int
    reductions: int
    tables: int
    follows: bool = False
    adds: bool = False
    beside: bool = False
    shared: bool = False
    turns: bool = False

    def compute(self, nest: LoopNest, acc: Any, pads: Mapping[str, Any]) -> Any:
        """A pure call on what a lane of the result depends on: its whole row, and parameters of all
        channels.
        """
        wide = nest.result is nest.acc
        shape = acc.shape if wide else (*nest.result.extents, nest.hardware.vector_size + 1)
        named = ["par", "par2", "par_beside", *(f"tab{i}" for i in range(self.tables))]
        constants = [name for name in named if name in pads]  # without what is streamed

        def element(*index: Any) -> Any:
            pixel = index[:3]
            reads = [acc[(*pixel, *rest)] for rest in corners(acc.shape[3:])]
            for name in constants:
                reads += [pads[name][at] for at in corners(pads[name].shape)]
            if "res" in pads:
                reads += [pads["res"][(*pixel, *rest)] for rest in corners(pads["res"].shape[3:])]
            if self.adds:
                axes, other = nest.operand["other"].axes[:3], pads["other"]
                place = [at if axis.terms else 0 for at, axis in zip(pixel, axes, strict=True)]
                reads += [other[(*place, *rest)] for rest in corners(other.shape[3:])]
            if self.turns:
                axes, turns = nest.operand["turns"].axes[:3], pads["turns"]
                place = [at if axis.terms else 0 for at, axis in zip(pixel, axes, strict=True)]
                reads += [turns[(*place, *rest)] for rest in corners(turns.shape[3:])]
            return tirx.call_pure_extern("int32" if wide else "int16", ROWS, *index[3:], *reads)

        return te.compute(shape, element, name="finish")

    def cycles(self, nest: LoopNest, tiles: Count) -> Count:
        """One for each entry that is reduced, two for each that is combined with another accumulator, the
        pipelines, and filling the tables that all lanes look up in; the PPU beside.
        """
        entries, timing = nest.existing(nest.entries["acc"]), nest.hardware.timing
        combined = self.passes - self.reductions + self.adds
        cycles = entries * (self.reductions + 2 * combined)
        cycles = cycles + tiles * self.reductions * timing.row_pipeline_cycles
        cycles = cycles + tiles * combined * timing.vector_pipeline_cycles
        if self.tables:
            cycles = cycles + tiles * (self.tables - 1) * nest.entries["tab0"]
        if self.beside:
            cycles = cycles + entries + tiles * timing.ppu_pipeline_cycles
        if self.follows:  # the PPU, before and behind
            cycles = cycles + 2 * entries + tiles * timing.ppu_pipeline_cycles
        return cycles + tiles * timing.ppu_pipeline_cycles
