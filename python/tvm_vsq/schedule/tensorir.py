"""Schedule a layer: tiles, loop order, scratchpad scopes, placement of the copies, tensor intrinsics."""

from __future__ import annotations

from typing import Any

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.compute import layer_func
from tvm_vsq.schedule.intrinsics import SCOPES, register_intrinsics
from tvm_vsq.schedule.knobs import Knobs
from tvm_vsq.schedule.placement import LOOPS, place
from tvm_vsq.schedule.workload import Workload
from tvm_vsq.tvm_compat import Schedule

# Weights first: of all copies they are needed by the most work, and nothing the layer before produces delays
# them.
_LOADS = (("P_sp", "par"), ("W_sp", "wgt"), ("X_sp", "inp"), ("R_sp", "res"))


def schedule_layer(work: Workload, knobs: Knobs, hardware: HardwareConfig) -> Any:
    """IRModule with one scheduled, tensorized PrimFunc `main` (X, W, P[, R], Y)."""
    names = register_intrinsics(
        hardware.vector_size, hardware.output_lanes, hardware.product_shift, hardware.product_bits
    )
    sch = Schedule(layer_func(work, hardware), debug_mask="none", enable_check=False)
    homes = place(work, knobs, hardware)
    for block, home in (*_LOADS, ("acc", "acc"), ("Y_sp", "acc" if work.wide else "out")):
        if home in homes:
            sch.set_scope(sch.get_sblock(block), 0, SCOPES[homes[home].scratchpad])

    n, y, x, g = sch.get_loops(sch.get_sblock("Y"))[:4]
    outer_y, inner_y = sch.split(y, [None, knobs.tile_h])
    outer_x, inner_x = sch.split(x, [None, knobs.tile_w])
    outer_g, inner_g = sch.split(g, [None, knobs.tile_k // hardware.group_blocks])
    loop_of = {"n": n, "h": outer_y, "w": outer_x, "k": outer_g}
    loops = [loop_of[name] for name in LOOPS[knobs.order] if name != "c"]
    sch.reorder(*loops, inner_y, inner_x, inner_g)
    # Unit loops must survive until every loop has been named by position.
    sch.compute_at(sch.get_sblock("Y_sp"), loops[-1], preserve_unit_loops=True)
    acc = sch.get_sblock("acc")
    sch.compute_at(acc, loops[-1], preserve_unit_loops=True)
    pixel_n, pixel_y, pixel_x, group, block, lane, c, r, s, v = sch.get_loops(acc)[len(loops) :]
    outer_c, inner_c = sch.split(c, [None, knobs.tile_c])
    sch.reorder(outer_c, pixel_n, pixel_y, pixel_x, group, block, inner_c, r, s, lane, v)
    loops.append(outer_c)
    for name, home in _LOADS:
        if home in homes and homes[home].loop:
            sch.compute_at(sch.get_sblock(name), loops[homes[home].loop - 1])

    multiply = sch.blockize(lane)
    clear = sch.decompose_reduction(multiply, outer_c)
    sch.tensorize(clear, names[1])
    sch.tensorize(multiply, names[0])
    return sch.mod
