"""A layer as a tensor expression: copies into scratchpads, GEMM, post-processing, copy back.

Every vector keeps its lane axis of V + 1 (elements, then the scale), so that one scratchpad entry is one row.
"""

from __future__ import annotations

from typing import Any

from tvm import te, tirx

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.arithmetic import scale_product
from tvm_vsq.schedule.intrinsics import PPU
from tvm_vsq.schedule.workload import Workload


def layer_func(work: Workload, hardware: HardwareConfig) -> Any:
    """PrimFunc (X, W, P[, R], Y) of one layer, unscheduled.

    Blocks: X_sp, W_sp, P_sp, R_sp copy in, acc multiplies, Y_sp post-processes, Y copies out. Channels are
    [groups, blocks per group, lanes] on the accumulator side and [groups, vectors per group, V + 1] on the
    vector side.
    """
    vector, lanes = hardware.vector_size, hardware.output_lanes
    groups, blocks = work.kb // hardware.group_blocks, hardware.group_blocks
    vectors = hardware.group_channels // vector
    weights = (groups, blocks, work.cv, work.r, work.s, lanes, vector + 1)
    inputs = te.placeholder((work.n, work.h, work.w, work.cv, vector + 1), "int16", "X")
    weight = te.placeholder(weights, "int16", "W")
    params = te.placeholder((groups, blocks, lanes, 4), "int32", "P")
    out_shape = (work.n, work.oh, work.ow, groups, vectors, vector + 1)
    arguments = [inputs, weight, params]

    x_sp = padded(inputs, work, vector)
    w_sp, p_sp = _copy(weight, "W_sp"), _copy(params, "P_sp")
    acc = accumulate(x_sp, w_sp, work, hardware)
    inside = {"acc": acc, "par": p_sp}
    if work.has_residual:
        residual = te.placeholder(out_shape, "int16", "R")
        inside["res"] = _copy(residual, "R_sp")
        arguments.append(residual)
    if work.wide:
        y_sp = te.compute(acc.shape, lambda *i: _post_process("int32", inside, i, i[4:]), name="Y_sp")
    else:
        y_sp = te.compute(out_shape, lambda *i: _post_process("int16", inside, i, i[4:]), name="Y_sp")
    return te.create_prim_func([*arguments, _copy(y_sp, "Y")])


def _copy(source: Any, name: str) -> Any:
    return te.compute(source.shape, lambda *i: source[i], name=name)


def padded(inputs: Any, work: Workload, vector: int) -> Any:
    """X int16 [n, h, w, cv, V+1] with its border of zeros, cut to what the kernel reads."""
    rows, columns = work.input_tile(work.oh, work.ow)
    (step_h, step_w), (top, left, _, _) = work.load_steps, work.padding

    def element(n: Any, y: Any, x: Any, c: Any, lane: Any) -> Any:
        row, column = y * step_h - top, x * step_w - left
        inside = tirx.all(row >= 0, row < work.h, column >= 0, column < work.w)
        return tirx.if_then_else(inside, inputs[n, row, column, c, lane], tirx.const(0, "int16"))

    return te.compute((work.n, rows, columns, work.cv, vector + 1), element, name="X_sp")


def accumulate(x_sp: Any, w_sp: Any, work: Workload, hardware: HardwareConfig) -> Any:
    """Accumulators int64 [n, oh, ow, groups, blocks, lanes] of the padded input and the weights W."""
    vector, shift, bits = hardware.vector_size, hardware.product_shift, hardware.product_bits
    (stride_h, stride_w), (dilate_h, dilate_w) = work.pad_strides, work.dilation
    c, r, s = (
        te.reduce_axis((0, extent), name) for extent, name in ((work.cv, "c"), (work.r, "r"), (work.s, "s"))
    )
    v = te.reduce_axis((0, vector), "v")

    def element(n: Any, y: Any, x: Any, g: Any, b: Any, o: Any) -> Any:
        pixel = (n, y * stride_h + r * dilate_h, x * stride_w + s * dilate_w, c)
        scale = scale_product(w_sp[g, b, c, r, s, o, vector], x_sp[(*pixel, vector)], shift, bits)
        product = w_sp[g, b, c, r, s, o, v].astype("int64") * x_sp[(*pixel, v)].astype("int64")
        return te.sum(scale * product, axis=[c, r, s, v])

    shape = (
        work.n,
        work.oh,
        work.ow,
        work.kb // hardware.group_blocks,
        hardware.group_blocks,
        hardware.output_lanes,
    )
    return te.compute(shape, element, name="acc")


def _post_process(dtype: str, inside: dict[str, Any], index: tuple[Any, ...], lane: tuple[Any, ...]) -> Any:
    """A pure call on everything that one lane of the result depends on: its whole channel group."""
    n, y, x, g = index[:4]
    reads = []
    for name, tensor in inside.items():
        prefix = (g,) if name == "par" else (n, y, x, g)
        extents = [int(e) for e in tensor.shape[len(prefix) :]]
        reads += [tensor[(*prefix, *rest)] for rest in _indices(extents)]
    return tirx.call_pure_extern(dtype, PPU, *lane, *reads)


def _indices(extents: list[int]) -> list[tuple[int, ...]]:
    rows: list[tuple[int, ...]] = [()]
    for extent in extents:
        rows = [(*row, i) for row in rows for i in range(extent)]
    return rows
