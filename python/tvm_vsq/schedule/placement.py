"""Where in the loop nest each scratchpad buffer is filled, and how often.

Loops from outside in: "k_outer" is k, n, h, w, c and "hw_outer" is n, h, w, k, c. A buffer is filled in the
innermost loop that runs more than once and changes what the buffer holds; inside that loop its content is
reused.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.knobs import Knobs
from tvm_vsq.schedule.workload import Workload

LOOPS = {"k_outer": ("k", "n", "h", "w", "c"), "hw_outer": ("n", "h", "w", "k", "c")}
_CHANGED_BY = {"inp": "nhwc", "wgt": "kc", "par": "k", "res": "nhwk", "acc": "nhwk", "out": "nhwk"}
_SCRATCHPAD = {"inp": "inp", "res": "inp", "wgt": "wgt", "par": "par", "acc": "acc", "out": "out"}


@dataclass(frozen=True)
class Home:
    """A scratchpad buffer: `loop` counts the loops around its fill, `fills` how often it is filled.

    It has `slots` copies of `entries` each in `scratchpad`.
    """

    scratchpad: str
    loop: int
    fills: int
    slots: int
    entries: int


def trip_counts(workload: Workload, knobs: Knobs) -> dict[str, int]:
    """Iterations of each tile loop."""
    return {
        "n": workload.n,
        "h": workload.oh // knobs.tile_h,
        "w": workload.ow // knobs.tile_w,
        "k": workload.kb // knobs.tile_k,
        "c": workload.cv // knobs.tile_c,
    }


def place(workload: Workload, knobs: Knobs, hardware: HardwareConfig) -> dict[str, Home]:
    """Homes of the buffers inp, wgt, par, acc and, where the layer has them, res and out."""
    trips = trip_counts(workload, knobs)
    loops = LOOPS[knobs.order]
    pixels = knobs.tile_h * knobs.tile_w
    rows, columns = workload.input_tile(knobs.tile_h, knobs.tile_w)
    vectors = pixels * knobs.tile_k * hardware.output_lanes // hardware.vector_size
    entries = {
        "inp": rows * columns * knobs.tile_c,
        "wgt": knobs.tile_k * knobs.tile_c * workload.r * workload.s,
        "par": knobs.tile_k,
        "acc": pixels * knobs.tile_k,
    }
    if workload.has_residual:
        entries["res"] = vectors
    if not workload.wide:
        entries["out"] = vectors
    running = [(i + 1, loop) for i, loop in enumerate(loops) if trips[loop] > 1]
    homes = {}
    for name, size in entries.items():
        changes = _CHANGED_BY[name]
        level = max((i for i, loop in running if loop in changes), default=0)
        # Parameters are small: where half the scratchpad holds all of them, they are loaded once per layer.
        if name == "par" and 2 * workload.kb <= hardware.depths["par"]:
            level, size = 0, workload.kb
        fills = prod(trips[loop] for loop in loops[:level])
        # GEMM and PPU share an engine: a second accumulator tile helps only while STORE drains the first one.
        twice = knobs.double_buffer and fills > 1 and (name != "acc" or workload.wide)
        homes[name] = Home(_SCRATCHPAD[name], level, fills, 2 if twice else 1, size)
    return homes
