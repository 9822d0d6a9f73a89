"""TensorIR of a scheduled layer -> Nest: run TVM's lowering, then read the leaves as affine copies and
instructions.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import tvm
from tvm import s_tir, tirx

from tvm_vsq.codegen.kinds import LEAVES
from tvm_vsq.codegen.leaf import Pad, TensorReader
from tvm_vsq.codegen.nest import Buffer, Loop, Nest, Node
from tvm_vsq.errors import ProgramError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule import Knobs, Workload, nest_of, schedule_layer
from tvm_vsq.schedule.compute import operand_of
from tvm_vsq.schedule.memories import entry_of
from tvm_vsq.schedule.nest import Tile
from tvm_vsq.schedule.tensorir import TILES_OF

# Buffers stay multi-dimensional (no FlattenBuffer): each axis of a copy keeps its own index, from which
# padding follows.
PASSES = (
    s_tir.transform.PlanAndUpdateBufferAllocationLocation,
    s_tir.transform.ConvertBlocksToOpaque,
    s_tir.transform.CompactBufferAllocation,
    s_tir.transform.LowerMatchBuffer,
    s_tir.transform.LowerOpaqueBlock,
    tirx.transform.StmtSimplify,
)


@lru_cache(maxsize=256)
def lower_layer(work: Workload, knobs: Knobs, hardware: HardwareConfig) -> Nest:
    """The loop nest of one layer. ProgramError if the TensorIR holds something that has no instruction."""
    module = tvm.transform.Sequential([make() for make in PASSES])(schedule_layer(work, knobs, hardware))
    return _Reader(nest_of(work, hardware).tile(knobs)).read(module["main"].body)


class _Reader:
    def __init__(self, tile: Tile) -> None:
        self.tile = tile
        self.leaves = TensorReader(tile.nest, LEAVES)
        self.buffers: list[Buffer] = []
        self.loops = 0

    def read(self, body: Any) -> Nest:
        nodes = self._nodes(body)
        self.buffers += [
            Buffer(operand, Buffer(operand, ()).used(self.tile.sizes)) for operand in self.tile.nest.scratch
        ]
        return Nest(self.tile, tuple(self.buffers), nodes, self.loops)

    def _nodes(self, stmt: Any) -> tuple[Node, ...]:
        kind = type(stmt).__name__
        if kind == "SeqStmt":
            return tuple(node for child in stmt.seq for node in self._nodes(child))
        if kind == "AllocBuffer":
            self._allocate(stmt.buffer)
            return self._nodes(stmt.body) if getattr(stmt, "body", None) is not None else ()
        if kind in ("Evaluate", "BufferStore"):
            return self._leaf([], stmt)
        if kind != "For":
            raise ProgramError(
                f"lowered TensorIR holds a {kind}, which has no instruction; this schedule is not supported"
            )
        if TILES_OF in stmt.annotations:
            number = self.loops
            self.leaves.enter(stmt.loop_var)
            self.loops += 1
            return (Loop(number, int(stmt.extent), str(stmt.annotations[TILES_OF]), self._nodes(stmt.body)),)
        loops, inner = [], stmt
        while type(inner).__name__ == "For":
            loops.append(inner)
            inner = inner.body
        if type(inner).__name__ not in ("Evaluate", "BufferStore"):
            raise ProgramError(
                f"lowered TensorIR holds a {type(inner).__name__} inside of tiles, which has no instruction; "
                f"this schedule is not supported"
            )
        return self._leaf(loops, inner)

    def _leaf(self, loops: list[Any], stmt: Any) -> tuple[Node, ...]:
        if type(stmt).__name__ == "Evaluate" and not isinstance(stmt.value, tvm.ir.Call):
            return ()
        return (self.leaves.read(loops, stmt),)

    def _allocate(self, buffer: Any) -> None:
        scope = buffer.scope() if callable(buffer.scope) else buffer.scope
        nest = self.tile.nest
        operand = nest.operand[operand_of(str(scope))]
        entry = entry_of(operand.scratchpad, nest.hardware)
        shape = tuple(int(extent) for extent in buffer.shape)[: -len(entry.shape)]
        # What TensorIR holds as a whole, it rounds up to whole tiles.
        exists = (axis.span(nest.extents) for axis in operand.axes)
        declared = Buffer(operand, tuple(map(min, shape, exists)))
        # A wide result replaces its accumulator: its scope is the accumulator's, and it is no buffer of its
        # own.
        alias = operand is nest.acc and str(buffer.dtype) != entry.dtype
        self.leaves.declare(str(buffer.name), Pad(declared, shape, entry, alias))
        if not alias:
            self.buffers.append(declared)
