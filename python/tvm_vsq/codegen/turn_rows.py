"""VEC on the rows of a tile whose numbers are turned in pairs (docs/numerics.md, section 7)."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from tvm_vsq.codegen.microops import MEMORIES, MicroLoop, fold_loops
from tvm_vsq.codegen.step import Interval, Step
from tvm_vsq.isa import Insn, code_of

if TYPE_CHECKING:
    from tvm_vsq.codegen.emit import LayerEmitter

_FIRST, _SECOND = 0, 1
"""Halves of a head, and of factors: cosines, and then sines."""


def turn_rows(emitter: LayerEmitter, values: list[int]) -> None:
    """VEC instructions that leave turned numbers where the rows of a tile are.

    Factors are positive, so they are 1 + cos and 1 + sin, and what is too much is subtracted: x itself.
    """
    emitter.fill("kept")
    halves = _Halves(emitter, values)
    for half in (_FIRST, _SECOND):
        halves.combine("mov", "kept", half, "acc", half)
    for half in (_FIRST, _SECOND):
        halves.combine("scale", "acc", half, "turns", _FIRST)
        halves.combine("sub", "acc", half, "kept", half)
    halves.combine("add", "acc", _FIRST, "kept", _SECOND)
    halves.combine("sub", "acc", _SECOND, "kept", _FIRST)
    for half in (_FIRST, _SECOND):
        halves.combine("scale", "kept", half, "turns", _SECOND)
    halves.combine("sub", "acc", _FIRST, "kept", _SECOND)
    halves.combine("add", "acc", _SECOND, "kept", _FIRST)


class _Halves:
    """The halves of all heads of a tile's rows, group by group."""

    def __init__(self, emitter: LayerEmitter, values: list[int]) -> None:
        self._emitter = emitter
        self._entries = emitter.blocks(values).count
        self._half = emitter.buffers["turns"].shape[-1] // 2
        self._group = emitter.hardware.group_blocks
        self._pixels = emitter.buffers["acc"].shape[:3]

    def combine(self, op: str, written: str, half: int, read: str, other: int) -> None:
        """VEC of a half of the numbers in a buffer with a half in another one."""
        emitter, buffers = self._emitter, self._emitter.buffers
        steps = [self._steps(name) for name in (written, read)]
        extents = (*self._pixels, self._entries // (2 * self._half), self._half // self._group)
        places = [MEMORIES.index(name) for name in ("acc", "inp")]
        loops = []
        for extent, pair in zip(extents, zip(*steps, strict=True), strict=True):
            step = [0] * len(MEMORIES)
            for place, each in zip(places, pair, strict=True):
                step[place] = each
            loops.append(MicroLoop(extent, tuple(step)))
        origin = [0] * len(MEMORIES)
        for place, name, which in zip(places, (written, read), (half, other), strict=True):
            origin[place] = buffers[name].start + which * self._half
        fields = {"op": code_of("VEC", "op", op), "src": code_of("VEC", "src", "acc")}
        intervals = [buffers[name].interval for name in (written, read)]
        for program in fold_loops(
            tuple(loops), emitter.limit("VEC", "iter_out"), emitter.uops.longest("VEC")
        ):
            begin, loads = emitter.uops.fetch(program.offsets + origin, emitter.layer)
            emitter.steps += loads
            filled = {
                **fields,
                "uop_begin": begin,
                "uop_count": len(program.offsets),
                "iter_out": program.outer.extent,
                "iter_in": program.inner.extent,
            }
            for place in places:
                filled[f"{MEMORIES[place]}_out"] = program.outer.step[place]
                filled[f"{MEMORIES[place]}_in"] = program.inner.step[place]
            uops: Interval = ("uop", begin, begin + len(program.offsets))
            reads = (uops, intervals[1])
            emitter.steps.append(Step(Insn("VEC", filled), emitter.layer, reads, (intervals[0],)))

    def _steps(self, name: str) -> tuple[int, ...]:
        """Entries between rows along n, h and w, between heads, and between groups."""
        shape = self._emitter.buffers[name].shape
        of_pixel, head = (shape[-1], 0) if name == "turns" else (self._entries, 2 * self._half)
        strides = [of_pixel * prod(shape[axis + 1 : 3]) for axis in range(3)]
        repeated = (shape[axis] == 1 for axis in range(3))
        found = [0 if single else stride for single, stride in zip(repeated, strides, strict=True)]
        return (*found, head, self._group)
