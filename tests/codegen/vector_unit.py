"""Loop nests of bodies that the project does not have: the largest of a window, and a vector as it is.

Nothing in schedule/ and codegen/ knows them. Their instruction borrows the fields of GEMM, and is executed
here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from tvm import te
from tvm.script import from_source
from tvm.script import tirx as T

from tvm_vsq.codegen.micro import MicroOps
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import LOAD_MEMORIES, decode_uops
from tvm_vsq.schedule import LoopNest
from tvm_vsq.schedule.access import Axis, Dim, Operand
from tvm_vsq.schedule.postprocess import post_processed, result_dims
from tvm_vsq.tvm_compat import TensorIntrin

MAXIMUM, CLEAR, MOVE = "test.maximum", "test.clear", "test.move"
LOWEST = int(np.iinfo(np.int64).min)


@dataclass(frozen=True)
class Unpack:
    """acc = element * scale of a vector of "inp", or the largest of a window.

    A micro-op does a channel group.
    """

    largest: bool

    def inside(self, nest: LoopNest) -> tuple[str, ...]:
        return ("b",) if nest.hardware.group_blocks > 1 else ()

    def compute(self, nest: LoopNest, pads: Any) -> Any:
        size, lanes, x = nest.hardware.vector_size, nest.hardware.output_lanes, pads["inp"]
        taps = {dim.name: te.reduce_axis((0, dim.extent), dim.name) for dim in nest.reduced}

        def element(*index: Any) -> Any:
            *at, lane = index
            values = {**dict(zip("nhwkb", at, strict=True)), **taps}
            place = [axis.at(values) for axis in nest.operand["inp"].axes[:-1]]
            channel = values["b"] * lanes + lane
            vector, position = channel // size, channel % size
            value = x[(*place, vector, position)].astype("int64") * x[(*place, vector, size)].astype("int64")
            return te.max(value, axis=list(taps.values())) if self.largest else value

        return te.compute((*nest.acc.extents, lanes), element, name="acc")

    def intrinsics(self, nest: LoopNest) -> tuple[str, str | None]:
        hw = nest.hardware
        sizes = hw.vector_size, hw.output_lanes, hw.group_blocks
        if not self.largest:
            return intrinsic(MOVE, *sizes), None
        return intrinsic(MAXIMUM, *sizes), intrinsic(CLEAR, *sizes)

    def cycles(self, nest: LoopNest, tiles: int, steps: int) -> int:
        return nest.iterations + nest.entries["acc"] * self.largest + tiles


INTRINSIC = """
@T.prim_func(s_tir=True)
def main({handles}):
    {x}
    C = T.match_buffer(c, {shape}, "int64", scope="local.acc", offset_factor={lanes})
    with T.sblock("root"):
        T.reads({reads})
        T.writes(C[{whole}])
        {body}
"""


@lru_cache
def intrinsic(kind: str, size: int, lanes: int, blocks: int) -> str:
    """Name of the registered intrinsic: acc of a channel group, whose unit axis TVM drops."""
    value = {
        MAXIMUM: "T.max(C[{at}], T.Cast('int64', X[{channel}]) * T.Cast('int64', X[{size}]))",
        MOVE: "T.Cast('int64', X[{channel}]) * T.Cast('int64', X[{size}])",
        CLEAR: "T.min_value('int64')",
    }[kind]
    extents = (lanes,) if blocks == 1 else (blocks, lanes)
    axes = ["o"] if blocks == 1 else ["b", "o"]
    at = ", ".join(f"v{axis}" for axis in axes)
    channel = "vo" if blocks == 1 else f"vb * {lanes} + vo"
    vector = f"X[0 : {size + 1}]"
    whole = ", ".join(f"0 : {extent}" for extent in extents)
    loop = (
        f"for {', '.join(axes)} in T.grid({', '.join(map(str, extents))}):\n"
        f"            with T.sblock('unpack'):\n"
        f"                {at} = T.axis.remap('{'S' * len(axes)}', [{', '.join(axes)}])\n"
        f"                C[{at}] = {value.format(at=at, channel=channel, size=size)}"
    )
    pointers = "C.access_ptr('rw')" + ("" if kind == CLEAR else ", X.access_ptr('r')")
    common = {
        "handles": "c: T.handle" if kind == CLEAR else "x: T.handle, c: T.handle",
        "x": "pass"
        if kind == CLEAR
        else f"X = T.match_buffer(x, ({size + 1},), 'int16', scope='local.inp', offset_factor={size + 1})",
        "shape": extents,
        "lanes": lanes,
        "reads": {CLEAR: "", MOVE: vector, MAXIMUM: f"C[{whole}], {vector}"}[kind],
        "whole": whole,
    }
    described, replaced = (
        from_source(INTRINSIC.format(**common, body=body), extra_vars={"T": T})
        for body in (loop, f"T.evaluate(T.call_extern('int32', '{kind}', {pointers}))")
    )
    name = f"{kind}.{size}.{lanes}"
    TensorIntrin.register(name, described, replaced, override=True)
    return name


@dataclass(frozen=True)
class Vector:
    """The instruction of a leaf: `name` is the external function that it stands for."""

    name: str
    micro: MicroOps

    def emit(self, emitter: Any, values: list[int]) -> None:
        if self.name != MAXIMUM:
            emitter.buffers["acc"].fill()
        clipped = 1 if self.name == MAXIMUM else None
        self.micro.emit_as("GEMM", {"test": self.name}, emitter, values, clipped)


def leaves() -> dict[str, Any]:
    """What codegen.kinds.LEAVES needs besides."""

    def reader(name: str) -> Any:
        return lambda call: Vector(name, MicroOps(call.extents, call.pointers))

    return {name: reader(name) for name in (MAXIMUM, CLEAR, MOVE)}


@dataclass(frozen=True)
class Pool:
    """Maximum over windows of [n, h, w, vectors]; whole channel groups, of which there are `groups`."""

    n: int
    h: int
    w: int
    groups: int
    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    adds: bool = False
    wide: bool = True

    @property
    def out(self) -> tuple[int, int]:
        """Rows and columns of the result."""
        sizes = (self.h, self.w)
        return tuple(
            (sizes[i] + self.padding[i] + self.padding[i + 2] - self.kernel[i]) // self.strides[i] + 1
            for i in range(2)
        )

    @property
    def key(self) -> str:
        return repr(self)

    def check(self, hardware: HardwareConfig, layer: str) -> None:
        """Any hardware will do."""

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """Of a maximum, or, for a sum with a residual, of one vector an iteration."""
        dims = result_dims(self.n, *self.out, self.groups * hardware.group_blocks, hardware)
        n, h, w, k, _ = dims
        r, s = (Dim(name, taps, True) for name, taps in zip("rs", self.kernel, strict=True))
        (down, across), (top, left, bottom, right) = self.strides, self.padding
        if self.adds:
            rows, columns, taps = Axis.along(h), Axis.along(w), ()
        else:
            rows = Axis.window(self.h, h, r, down, 1, (top, bottom))
            columns = Axis.window(self.w, w, s, across, 1, (left, right))
            taps = (r, s)
        vectors = Axis(hardware.group_channels // hardware.vector_size)
        inputs = (Operand("inp", "inp", (Axis.along(n), rows, columns, Axis.along(k), vectors)),)
        body = Unpack(largest=not self.adds)
        return post_processed((*dims, *taps), inputs, body, hardware, has_residual=self.adds, wide=self.wide)


def execute(
    steps: list[Any], image: bytes, hw: HardwareConfig, vectors: np.ndarray, entries: int
) -> np.ndarray:
    """What the steps of one wide layer store, int64 [entries, lanes].

    vectors: int16 [records, V+1]. Post-processing changes nothing here.
    """
    records, lanes, blocks = hw.record_bytes, hw.output_lanes, hw.group_blocks
    inp = np.zeros((hw.depths["inp"], hw.vector_size + 1), dtype=np.int64)
    acc = np.zeros((hw.depths["acc"], lanes), dtype=np.int64)
    stored = np.full((entries, lanes), LOWEST, dtype=np.int64)
    uops = np.zeros((hw.depths["uop"], 3), dtype=np.int64)
    for step in steps:
        fields = step.insn.fields
        if step.insn.name == "LOAD" and LOAD_MEMORIES[fields["mem"]] == "inp":
            for place, record in transferred(fields, records["inp"]):
                inp[place] = 0 if record is None else vectors[record]
        elif step.insn.name == "LOAD" and LOAD_MEMORIES[fields["mem"]] == "uop":
            first, count = fields["dram_base"], fields["z_size"]
            content = decode_uops(image[first : first + count * records["uop"]], hw)
            uops[fields["sram_base"] : fields["sram_base"] + count] = content
        elif step.insn.name == "STORE":
            for place, record in transferred(fields, records["acc"]):
                stored[record] = acc[place]
        elif step.insn.name == "GEMM":
            for a, x in addresses(fields, uops):
                value = (inp[x, :-1] * inp[x, -1]).reshape(blocks, lanes)
                if fields["test"] == MAXIMUM:
                    value = np.maximum(acc[a : a + blocks], value)
                acc[a : a + blocks] = LOWEST if fields["test"] == CLEAR else value
    return stored


def addresses(fields: dict[str, Any], uops: np.ndarray) -> Any:
    """Entries (acc, inp) of every micro-op."""
    for outer in range(fields["iter_out"]):
        for inner in range(fields["iter_in"]):
            for acc, inp, _ in uops[fields["uop_begin"] :][: fields["uop_count"]]:
                moved = (
                    outer * fields.get(f"{pad}_out", 0) + inner * fields.get(f"{pad}_in", 0)
                    for pad in ("acc", "inp")
                )
                a, x = moved
                yield acc + a, inp + x


def transferred(fields: dict[str, Any], record_bytes: int) -> Any:
    """(scratchpad entry, DRAM record or None) of every entry of a LOAD or STORE."""
    place, first = fields["sram_base"], fields["dram_base"] // record_bytes
    get = fields.get
    for y in range(-get("y_pad_top", 0), get("y_size", 0) + get("y_pad_bottom", 0)):
        for x in range(-get("x_pad_left", 0), get("x_size", 0) + get("x_pad_right", 0)):
            inside = 0 <= y < get("y_size", 0) and 0 <= x < get("x_size", 0)
            for z in range(fields["z_size"]):
                record = first + y * get("y_stride", 0) + x * get("x_stride", 0) + z
                yield place, record if inside else None
                place += 1
