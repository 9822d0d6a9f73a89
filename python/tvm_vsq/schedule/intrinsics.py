"""Tensor intrinsics: the GEMM micro-op and the clearing of an accumulator entry."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tvm.script import tirx as T

from tvm_vsq.schedule.arithmetic import scale_product
from tvm_vsq.tvm_compat import TensorIntrin

SCOPES = {"inp": "local.inp", "wgt": "local.wgt", "acc": "local.acc", "par": "local.par", "out": "local.out"}
GEMM = "vsq.gemm"
RESET = "vsq.reset"
PPU = "vsq.ppu"


@lru_cache(maxsize=64)
def register_intrinsics(vector: int, lanes: int, shift: int, bits: int) -> tuple[str, str]:
    """Names of the (GEMM, clear) intrinsics for V, output lanes, product shift and product bits; registered
    once.

    The GEMM intrinsic replaces acc[o] += p(W[o, V] * X[V]) * W[o, v] * X[v] over all lanes o and elements v.
    """

    @T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
    def gemm_desc(w: T.handle, x: T.handle, c: T.handle) -> None:
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

    @T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
    def gemm_impl(w: T.handle, x: T.handle, c: T.handle) -> None:
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

    @T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
    def reset_desc(c: T.handle) -> None:
        C = T.match_buffer(c, (lanes,), "int64", scope="local.acc", offset_factor=lanes)
        with T.sblock("root"):
            T.reads()
            T.writes(C[0:lanes])
            for o in T.serial(lanes):
                with T.sblock("clear"):
                    vo = T.axis.spatial(lanes, o)
                    C[vo] = T.int64(0)

    @T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
    def reset_impl(c: T.handle) -> None:
        C = T.match_buffer(c, (lanes,), "int64", scope="local.acc", offset_factor=lanes)
        with T.sblock("root"):
            T.reads()
            T.writes(C[0:lanes])
            T.evaluate(T.call_extern("int32", "vsq.reset", C.access_ptr("w")))

    names = tuple(f"{base}.v{vector}b{lanes}s{shift}p{bits}" for base in (GEMM, RESET))
    _register(names[0], gemm_desc, gemm_impl)
    _register(names[1], reset_desc, reset_impl)
    return names[0], names[1]


def _register(name: str, desc: Any, impl: Any) -> None:
    TensorIntrin.register(name, desc, impl, override=True)
