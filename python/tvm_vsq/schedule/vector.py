"""Vectors unpacked by the vector unit as the body of a loop nest: moved, or the largest of a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tvm import te
from tvm.script import from_source
from tvm.script import tirx as T

from tvm_vsq.schedule.access import Count
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.tvm_compat import TensorIntrin

MAXIMUM, CLEAR, MOVE = "vsq.vec_max", "vsq.vec_clear", "vsq.vec_mov"


@dataclass(frozen=True)
class Unpack:
    """acc = element * scale of the vectors of "inp"; if `largest`, of those of a window the largest.

    A micro-op does a channel group. What is outside of the image is left out of a window.
    """

    largest: bool

    def inside(self, nest: LoopNest) -> tuple[str, ...]:
        """The blocks of a channel group."""
        return ("b",) if nest.hardware.group_blocks > 1 else ()

    def compute(self, nest: LoopNest, pads: Mapping[str, Any]) -> Any:
        """Accumulators int64 over the axes of acc and then the lanes."""
        size, lanes, x = nest.hardware.vector_size, nest.hardware.output_lanes, pads["inp"]
        taps = {dim.name: te.reduce_axis((0, dim.extent), dim.name) for dim in nest.reduced}

        def element(*index: Any) -> Any:
            *at, lane = index
            names = (name for axis in nest.acc.axes for name, _ in axis.terms)
            values = {**dict(zip(names, at, strict=True)), **taps}
            place = [axis.at(values) for axis in nest.operand["inp"].axes[:-1]]
            channel = values["b"] * lanes + lane
            vector, position = channel // size, channel % size
            value = x[(*place, vector, position)].astype("int64") * x[(*place, vector, size)].astype("int64")
            return te.max(value, axis=list(taps.values())) if self.largest else value

        return te.compute((*nest.acc.extents, lanes), element, name="acc")

    def intrinsics(self, nest: LoopNest) -> tuple[str, str | None]:
        """VEC with max, and with mov of an immediate; or VEC with mov of vectors."""
        hw = nest.hardware
        sizes = hw.vector_size, hw.output_lanes, hw.group_blocks
        if not self.largest:
            return _intrinsic(MOVE, *sizes), None
        return _intrinsic(MAXIMUM, *sizes), _intrinsic(CLEAR, *sizes)

    def cycles(self, nest: LoopNest, tiles: Count, steps: Count) -> Count:
        """One for each block of each micro-op, clearing ones included, and the pipelines."""
        pipeline = nest.hardware.timing.vector_pipeline_cycles
        cleared = nest.existing(nest.entries["acc"]) if self.largest else 0
        return nest.existing(nest.iterations) + cleared + (1 + self.largest) * tiles * pipeline


_INTRINSIC = """
@T.prim_func(s_tir=True)
def main({handles}):
    {x}
    C = T.match_buffer(c, {shape}, "int64", scope="local.acc", offset_factor={lanes})
    with T.sblock("root"):
        T.reads({reads})
        T.writes(C[{whole}])
        {body}
"""


@lru_cache(maxsize=64)
def _intrinsic(kind: str, size: int, lanes: int, blocks: int) -> str:
    """Name of the registered intrinsic, on acc of a channel group; TVM drops the axis of a single block."""
    vectors = max(1, lanes // size)
    extents = (lanes,) if blocks == 1 else (blocks, lanes)
    axes = ["o"] if blocks == 1 else ["b", "o"]
    at = ", ".join(f"v{axis}" for axis in axes)
    channel = "vo" if blocks == 1 else f"vb * {lanes} + vo"
    element, scale = channel, str(size)
    if vectors > 1:
        element, scale = f"vo // {size}, vo % {size}", f"vo // {size}, {size}"
    value = f"T.Cast('int64', X[{element}]) * T.Cast('int64', X[{scale}])"
    value = {MAXIMUM: f"T.max(C[{at}], {value})", MOVE: value, CLEAR: "T.min_value('int64')"}[kind]
    vector = f"X[0 : {size + 1}]" if vectors == 1 else f"X[0 : {vectors}, 0 : {size + 1}]"
    shape = (size + 1,) if vectors == 1 else (vectors, size + 1)
    whole = ", ".join(f"0 : {extent}" for extent in extents)
    loop = (
        f"for {', '.join(axes)} in T.grid({', '.join(map(str, extents))}):\n"
        f"            with T.sblock('unpack'):\n"
        f"                {at} = T.axis.remap('{'S' * len(axes)}', [{', '.join(axes)}])\n"
        f"                C[{at}] = {value}"
    )
    pointers = "C.access_ptr('rw')" + ("" if kind == CLEAR else ", X.access_ptr('r')")
    entries = f"{shape}, 'int16', scope='local.inp', offset_factor={size + 1}"
    common = {
        "handles": "c: T.handle" if kind == CLEAR else "x: T.handle, c: T.handle",
        "x": "pass" if kind == CLEAR else f"X = T.match_buffer(x, {entries})",
        "shape": extents,
        "lanes": lanes,
        "reads": {CLEAR: "", MOVE: vector, MAXIMUM: f"C[{whole}], {vector}"}[kind],
        "whole": whole,
    }
    described, replaced = (
        from_source(_INTRINSIC.format(**common, body=body), extra_vars={"T": T})
        for body in (loop, f"T.evaluate(T.call_extern('int32', '{kind}', {pointers}))")
    )
    name = f"{kind}.v{size}b{lanes}"
    TensorIntrin.register(name, described, replaced, override=True)
    return name
