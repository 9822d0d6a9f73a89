"""Schedule a layer: tiles, loop order, scratchpad scopes, placement of the copies, tensor intrinsics."""

from __future__ import annotations

from typing import Any

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.compute import RESULT, layer_func, pad_block, scope_of
from tvm_vsq.schedule.knobs import Knobs
from tvm_vsq.schedule.memories import entry_of
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.schedule.placement import place
from tvm_vsq.schedule.workload import Workload, nest_of
from tvm_vsq.tvm_compat import Schedule

TILES_OF, INSIDE = "vsq.tiles", "vsq.inside"
"""Annotations of loops with the name of a dimension: over its tiles, and over its iterations in one."""


def schedule_layer(work: Workload, knobs: Knobs, hardware: HardwareConfig) -> Any:
    """IRModule with one scheduled, tensorized PrimFunc `main` of the loaded operands and the result.

    All tiles are whole: where one does not divide its extent, that is rounded up, and code generation leaves
    out what does not exist.
    """
    nest = nest_of(work, hardware).in_whole_tiles(knobs)
    update, clear = nest.body.intrinsics(nest)
    sch = Schedule(layer_func(nest), debug_mask="none", enable_check=False)
    finish, acc = sch.get_sblock("finish"), sch.get_sblock("acc")
    copied = [operand for operand in nest.loads if not operand.direct]
    for operand in copied:
        sch.set_scope(sch.get_sblock(pad_block(operand.name)), 0, scope_of(operand.name))
    sch.set_scope(acc, 0, scope_of("acc"))
    sch.set_scope(finish, 0, scope_of(nest.result.name))

    loops = _tile_results(sch, nest, knobs)
    # Unit loops must survive until every loop has been named by position.
    sch.compute_at(finish, loops[-1], preserve_unit_loops=True)
    sch.compute_at(acc, loops[-1], preserve_unit_loops=True)
    inside = sch.get_loops(acc)[len(loops) :]
    reducing, start, intrinsic = _tile_reduction(sch, nest, knobs, inside) if update else ([], None, None)
    loops += reducing
    homes = place(work, knobs, hardware)
    # Weights first: of all copies they are needed by the most work, and nothing the layer before produces
    # delays them.
    for operand in (*reversed(nest.constants), *(o for o in copied if not o.constant)):
        if homes[operand.name].loop:
            sch.compute_at(sch.get_sblock(pad_block(operand.name)), loops[homes[operand.name].loop - 1])

    if update is not None:
        block = sch.blockize(intrinsic)
        if clear is not None:
            sch.tensorize(sch.decompose_reduction(block, start), clear)
        sch.tensorize(block, update)
    return sch.mod


def _tile_results(sch: Any, nest: LoopNest, knobs: Knobs) -> list[Any]:
    """Split and order the loops over results; the loops over tiles."""
    sizes, outer, inner = nest.tile(knobs).sizes, {}, []
    loops = sch.get_loops(sch.get_sblock(RESULT))[: len(nest.result.axes)]
    for axis, loop in zip(nest.result.axes, loops, strict=True):
        for name, _ in axis.terms:
            if nest.dim[name].is_tiled:
                outer[name], within = sch.split(loop, [None, sizes[name]])
                inner.append(within)
    tiles = [outer[name] for name in nest.orders[knobs.order]]
    sch.reorder(*tiles, *inner)
    for name, loop in outer.items():
        sch.annotate(loop, TILES_OF, name)
    return tiles


def _tile_reduction(sch: Any, nest: LoopNest, knobs: Knobs, loops: list[Any]) -> tuple[list[Any], Any, Any]:
    """Split and order the loops of an accumulator tile.

    Returns the loops over tiles of reduced dimensions, the outermost loop, and the outermost that belongs to
    the intrinsic.
    """
    sizes, axes, lanes = nest.tile(knobs).sizes, len(nest.acc.axes), len(entry_of("acc", nest.hardware).shape)
    names = [name for axis in nest.acc.axes for name, _ in axis.terms]
    parallel = dict(zip(names, loops[:axes], strict=True))
    inside = [parallel.pop(name) for name in nest.body.inside(nest)] + loops[axes : axes + lanes]
    rest = loops[axes + lanes :]
    outer, inner = [], []
    for dim, loop in zip(nest.reduced, rest, strict=False):
        if dim.is_tiled:
            tile, within = sch.split(loop, [None, sizes[dim.name]])
            sch.annotate(tile, TILES_OF, dim.name)
            outer.append(tile)
            inner.append(within)
        else:
            inner.append(loop)
    for name, loop in (*parallel.items(), *zip((dim.name for dim in nest.reduced), inner, strict=True)):
        sch.annotate(loop, INSIDE, name)
    order = [*outer, *parallel.values(), *inner, *inside, *rest[len(nest.reduced) :]]
    sch.reorder(*order)
    return outer, order[0], inside[0]
