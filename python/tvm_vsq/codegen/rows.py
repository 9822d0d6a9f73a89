"""Row programs: REDUCE and VEC on the rows of a tile, then the PPU (docs/numerics.md, section 7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from tvm_vsq.codegen.leaf import ExternCall
from tvm_vsq.codegen.microops import MEMORIES
from tvm_vsq.codegen.ppu import Added, Ppu, read_ppu
from tvm_vsq.codegen.step import Interval, Step
from tvm_vsq.codegen.turn_rows import turn_rows
from tvm_vsq.formats.rows import LEAST_MAXIMUM, Normalization, Probabilities, Rotation, Sum
from tvm_vsq.isa import Insn, code_of

if TYPE_CHECKING:
    from tvm_vsq.codegen.emit import LayerEmitter

_TOP = (1 << 15) - 1
"""The largest argument of a table."""


@dataclass(frozen=True)
class RowProgram:
    """What becomes of the rows of a tile, and then the PPU. before: the PPU that makes them; added: what is
    added then. beside: the PPU that makes them numbers of 32 bits, too.
    """

    ppu: Ppu
    before: Ppu | None = None
    added: Added | None = None
    beside: Ppu | None = None

    def emit(self, emitter: LayerEmitter, values: list[int]) -> None:
        """PPU, REDUCE, VEC and PPU instructions."""
        if self.before is not None:
            self.before.emit(emitter, values)
            emitter.rows_made.append(len(emitter.steps))
        if self.added is not None:
            self.added.emit(emitter, values)
        how = emitter.post.rows
        if isinstance(how, Rotation):
            turn_rows(emitter, values)
            self.ppu.emit(emitter, values)
            return
        if isinstance(how, Sum):
            self.ppu.emit(emitter, values)
            return
        emitter.fill("row")
        rows = _Rows(emitter, values)
        if isinstance(how, Normalization):
            _normalize(rows, how)
        elif isinstance(how, Probabilities):
            _become_probabilities(rows, how)
        self.ppu.emit(emitter, values, self.beside)
        if self.beside is not None:
            emitter.store_beside(values)


def _normalize(rows: _Rows, how: Normalization) -> None:
    if how.centered:
        rows.reduce("sum", "scaled", mult=how.mean_mult, exponent=how.mean_shift)
        rows.combine("sub")
    root = {"shift": how.square_shift, "imm": how.epsilon, "exponent": how.exponent}
    rows.reduce("squares", "rsqrt", table="tab0", **root)
    rows.combine("scale")


def _become_probabilities(rows: _Rows, how: Probabilities) -> None:
    reach = _TOP << how.argument_shift
    rows.reduce("max", "value", imm=-reach)
    if how.masked:
        rows.bound("max", LEAST_MAXIMUM - reach)
    rows.combine("table", table="tab0", shift=how.argument_shift)
    rows.reduce("sum", "reciprocal", table="tab1", exponent=how.exponent)
    rows.combine("scale")


class _Rows:
    """The rows of a tile: `count` groups of `entries` accumulators each, and for each row one for what it is
    reduced to.
    """

    def __init__(self, emitter: LayerEmitter, values: list[int]) -> None:
        self._emitter = emitter
        acc, row = emitter.buffers["acc"], emitter.buffers["row"]
        self._acc, self._row = acc.interval, row.interval
        self._first, self._of_row = acc.start, row.start
        self._entries = emitter.blocks(values).count
        self._count = prod(acc.shape[:3])
        self._group = emitter.hardware.group_blocks

    def reduce(self, op: str, to: str, table: str = "", **fields: int) -> None:
        """REDUCE each row."""
        fields |= {"op": code_of("REDUCE", "op", op), "to": code_of("REDUCE", "to", to)}
        loops = {"iter_in": self._entries, "acc_out": self._group, "inp_out": self._entries, "inp_in": 1}
        loops["last_lanes"] = self._emitter.post.last_lanes
        self._emit("REDUCE", table, self._of_row, self._first, {**fields, **loops}, self._row, self._acc)

    def combine(self, op: str, table: str = "", **fields: int) -> None:
        """VEC of each entry with what its row was reduced to."""
        whole, rest = divmod(self._entries, self._group)
        fields |= {"op": code_of("VEC", "op", op), "src": code_of("VEC", "src", "acc")}
        for first, groups, skipped in ((0, whole, 0), (whole, int(rest > 0), self._group - rest)):
            if groups:
                loops = {
                    "iter_in": groups,
                    "acc_out": self._entries,
                    "acc_in": self._group,
                    "inp_out": self._group,
                }
                begin = self._first + first * self._group
                skips = {"skip_blocks": skipped}
                self._emit(
                    "VEC", table, begin, self._of_row, {**fields, **loops, **skips}, self._acc, self._row
                )

    def bound(self, op: str, imm: int) -> None:
        """VEC of what rows were reduced to with an immediate."""
        fields = {"op": code_of("VEC", "op", op), "src": code_of("VEC", "src", "imm"), "imm": imm}
        loops = {"iter_in": 1, "acc_out": self._group}
        self._emit("VEC", "", self._of_row, 0, {**fields, **loops}, self._row)

    def _emit(
        self,
        name: str,
        table: str,
        acc: int,
        source: int,
        fields: dict[str, int],
        written: Interval,
        *read: Interval,
    ) -> None:
        """The instruction, or several of as many rows as fit its outer loop."""
        emitter = self._emitter
        if table:
            fields["tab_base"] = emitter.buffers[table].start
            read = (*read, emitter.buffers[table].interval)
        for first, count in _pieces(self._count, emitter.limit(name, "iter_out")):
            places = {
                "acc": acc + first * fields["acc_out"],
                "inp": source + first * fields.get("inp_out", 0),
                "wgt": 0,
            }
            begin, loads = emitter.uops.fetch(
                np.array([[places[memory] for memory in MEMORIES]], np.int64), emitter.layer
            )
            emitter.steps += loads
            uops: Interval = ("uop", begin, begin + 1)
            filled = {**fields, "uop_begin": begin, "uop_count": 1, "iter_out": count}
            emitter.steps.append(Step(Insn(name, filled), emitter.layer, (uops, written, *read), (written,)))


def _pieces(count: int, most: int) -> Iterator[tuple[int, int]]:
    for first in range(0, count, most):
        yield first, min(most, count - first)


def read_row_program(call: ExternCall) -> RowProgram:
    """Of the first elements of acc, par and tables, and of what else there is."""
    made = read_ppu(call)
    ppu, added = replace(made, added=None), made.added
    operands = call.nest.operand
    rows = replace(ppu, par="par2", res=None, is_of_rows=True) if "par2" in operands else ppu
    before = replace(ppu, out=None) if "par2" in operands else None
    beside = None
    if call.nest.acc.stored:
        par = "par_beside" if "par_beside" in operands else rows.par
        beside = replace(rows, par=par, out=None, res=None, is_beside=True)
    return RowProgram(rows, before, added, beside)
