"""Multiply-accumulate as the body of a loop nest: its expression, and the GEMM micro-ops that replace it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tvm import te
from tvm.script import tirx as T

from tvm_vsq.schedule.access import Count
from tvm_vsq.schedule.arithmetic import scale_product
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.tvm_compat import TensorIntrin

GEMM = "vsq.gemm"
RESET = "vsq.reset"


@dataclass(frozen=True)
class MultiplyAccumulate:
    """acc += p(s_w * s_x) * sum over a vector of w * x, for the operands "inp" (vectors) and "wgt" (blocks).

    Without a scale unit the factor is 1.
    """

    def inside(self, nest: LoopNest) -> tuple[str, ...]:
        """None: a micro-op updates one entry."""
        return ()

    def compute(self, nest: LoopNest, pads: Mapping[str, Any]) -> Any:
        """Accumulators int64 over the axes of acc and then the lanes."""
        hardware = nest.hardware
        vector, shift, bits = hardware.vector_size, hardware.product_shift, hardware.product_bits
        reduced = {dim.name: te.reduce_axis((0, dim.extent), dim.name) for dim in nest.reduced}
        v = te.reduce_axis((0, vector), "v")
        x_sp, w_sp = pads["inp"], pads["wgt"]

        def element(*index: Any) -> Any:
            *at, lane = index
            names = (name for axis in nest.acc.axes for name, _ in axis.terms)
            values = {**dict(zip(names, at, strict=True)), **reduced}
            x, w = nest.operand["inp"].at(values), (*nest.operand["wgt"].at(values), lane)
            scale = scale_product(w_sp[(*w, vector)], x_sp[(*x, vector)], shift, bits)
            product = w_sp[(*w, v)].astype("int64") * x_sp[(*x, v)].astype("int64")
            return te.sum(scale * product, axis=[*reduced.values(), v])

        return te.compute((*nest.acc.extents, hardware.output_lanes), element, name="acc")

    def intrinsics(self, nest: LoopNest) -> tuple[str, str | None]:
        """GEMM, and what says that its first micro-ops overwrite."""
        hw = nest.hardware
        return register_intrinsics(hw.vector_size, hw.output_lanes, hw.product_shift, hw.product_bits)

    def cycles(self, nest: LoopNest, tiles: Count, steps: Count) -> Count:
        """One for each micro-op, and the pipeline of each instruction."""
        return nest.existing(nest.iterations) + steps * nest.hardware.timing.gemm_pipeline_cycles


def register_intrinsics(vector: int, lanes: int, shift: int, bits: int) -> tuple[str, str]:
    """Names of the (GEMM, clear) intrinsics for V, output lanes, product shift and product bits.

    Each part is made once: TVM walks the call stack for each function of its script, however deep.
    """
    return _register_gemm(vector, lanes, shift, bits), _register_reset(lanes)


@lru_cache(maxsize=64)
def _register_gemm(vector: int, lanes: int, shift: int, bits: int) -> str:
    """acc[o] += p(W[o, V] * X[V]) * W[o, v] * X[v] over all lanes o and elements v."""

    @T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
    def desc(w: T.handle, x: T.handle, c: T.handle) -> None:
        W = T.match_buffer(
            w, (lanes, vector + 1), "int16", scope="local.wgt", offset_factor=lanes * (vector + 1)
        )
        X = T.match_buffer(x, (vector + 1,), "int16", scope="local.inp", offset_factor=vector + 1)
        C = T.match_buffer(c, (lanes,), "int64", scope="local.acc", offset_factor=lanes)
        with T.sblock("root"):
            T.reads(C[0:lanes], W[0:lanes, 0 : vector + 1], X[0 : vector + 1])
            T.writes(C[0:lanes])
            for o, v in T.grid(lanes, vector):
                with T.sblock("mac"):
                    vo, vv = T.axis.remap("SR", [o, v])
                    C[vo] = C[vo] + scale_product(W[vo, vector], X[vector], shift, bits) * (
                        T.Cast("int64", W[vo, vv]) * T.Cast("int64", X[vv])
                    )

    name = f"{GEMM}.v{vector}b{lanes}s{shift}p{bits}"
    TensorIntrin.register(name, desc, _gemm_call(vector, lanes), override=True)
    return name


@lru_cache(maxsize=64)
def _gemm_call(vector: int, lanes: int) -> Any:
    @T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
    def call(w: T.handle, x: T.handle, c: T.handle) -> None:
        W = T.match_buffer(
            w, (lanes, vector + 1), "int16", scope="local.wgt", offset_factor=lanes * (vector + 1)
        )
        X = T.match_buffer(x, (vector + 1,), "int16", scope="local.inp", offset_factor=vector + 1)
        C = T.match_buffer(c, (lanes,), "int64", scope="local.acc", offset_factor=lanes)
        with T.sblock("root"):
            T.reads(C[0:lanes], W[0:lanes, 0 : vector + 1], X[0 : vector + 1])
            T.writes(C[0:lanes])
            T.evaluate(
                T.call_extern("int32", "vsq.gemm", C.access_ptr("rw"), X.access_ptr("r"), W.access_ptr("r"))
            )

    return call


@lru_cache(maxsize=64)
def _register_reset(lanes: int) -> str:
    """acc[o] = 0 over all lanes o."""

    @T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
    def desc(c: T.handle) -> None:
        C = T.match_buffer(c, (lanes,), "int64", scope="local.acc", offset_factor=lanes)
        with T.sblock("root"):
            T.reads()
            T.writes(C[0:lanes])
            for o in T.serial(lanes):
                with T.sblock("clear"):
                    vo = T.axis.spatial(lanes, o)
                    C[vo] = T.int64(0)

    @T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
    def call(c: T.handle) -> None:
        C = T.match_buffer(c, (lanes,), "int64", scope="local.acc", offset_factor=lanes)
        with T.sblock("root"):
            T.reads()
            T.writes(C[0:lanes])
            T.evaluate(T.call_extern("int32", "vsq.reset", C.access_ptr("w")))

    name = f"{RESET}.b{lanes}"
    TensorIntrin.register(name, desc, call, override=True)
    return name
