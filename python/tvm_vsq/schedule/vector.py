"""Vectors unpacked by the vector unit as the body of a loop nest: moved, or those of a window reduced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tvm import te, tirx
from tvm.script import from_source
from tvm.script import tirx as T

from tvm_vsq.schedule.access import Count
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.tvm_compat import TensorIntrin

MAXIMUM, CLEAR, MOVE = "vsq.vec_max", "vsq.vec_clear", "vsq.vec_mov"
SUM, ZERO = "vsq.vec_add", "vsq.vec_zero"
PRODUCT = "vsq.vec_mul"


@dataclass(frozen=True)
class Reduction:
    """How a window becomes one number: `update` takes another one in, `start` is what it begins with.

    Both are external functions of intrinsics. combined: the expression of an accumulator and a value, and
    first: that of what it starts with, in TVMScript; of: their reduction in TE.
    """

    update: str
    start: str
    combined: str
    first: str
    of: Callable[..., Any]


LARGEST = Reduction(MAXIMUM, CLEAR, "T.max({acc}, {value})", "T.min_value('int64')", te.max)
TOTAL = Reduction(SUM, ZERO, "{acc} + {value}", "T.int64(0)", te.sum)


@dataclass(frozen=True)
class Unpack:
    """acc = element * scale of the vectors of "inp"; with a `reduction`, of all those of a window.

    A micro-op does a channel group. Code generation leaves out of a window what is outside of the image, and
    multiplies what it adds at row i and column j of the result by factors[0][i] * factors[1][j], if there are
    factors: TensorIR knows neither.
    """

    reduction: Reduction | None = None
    factors: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())

    def inside(self, nest: LoopNest) -> tuple[str, ...]:
        """The blocks of a channel group."""
        return ("b",) if nest.hardware.group_blocks > 1 else ()

    def compute(self, nest: LoopNest, pads: Mapping[str, Any]) -> Any:
        """Accumulators int64 over the axes of acc and then the lanes."""
        lanes, x = nest.hardware.output_lanes, pads["inp"]
        taps = {dim.name: te.reduce_axis((0, dim.extent), dim.name) for dim in nest.reduced}

        def element(*index: Any) -> Any:
            *at, lane = index
            names = (name for axis in nest.acc.axes for name, _ in axis.terms)
            values = {**dict(zip(names, at, strict=True)), **taps}
            place = [axis.at(values) for axis in nest.operand["inp"].axes[:_PLACE]]
            value = _unpacked(nest, x, "inp", place, values["b"] * lanes + lane)
            return self.reduction.of(value, axis=list(taps.values())) if self.reduction else value

        return te.compute((*nest.acc.extents, lanes), element, name="acc")

    def intrinsics(self, nest: LoopNest) -> tuple[str, str | None]:
        """VEC with max or add, and with mov of an immediate; or VEC with mov of vectors."""
        hw = nest.hardware
        sizes = hw.vector_size, hw.output_lanes, hw.group_blocks, _places(nest, "inp")
        if self.reduction is None:
            return _intrinsic(MOVE, *sizes), None
        return _intrinsic(self.reduction.update, *sizes), _intrinsic(self.reduction.start, *sizes)

    def cycles(self, nest: LoopNest, tiles: Count, steps: Count) -> Count:
        """One for each block of each micro-op, clearing ones included, and the pipelines."""
        pipeline = nest.hardware.timing.vector_pipeline_cycles
        is_reduced = self.reduction is not None
        cleared = nest.existing(nest.entries["acc"]) if is_reduced else 0
        return nest.existing(nest.iterations) + cleared + (1 + is_reduced) * tiles * pipeline


@dataclass(frozen=True)
class Product:
    """acc = element * scale of the vectors of "inp" times that of "other", which loses `rounding` bits.

    "other" has one pixel where an axis of it does not move. A micro-op does a channel group.
    """

    rounding: int

    def inside(self, nest: LoopNest) -> tuple[str, ...]:
        """The blocks of a channel group."""
        return ("b",) if nest.hardware.group_blocks > 1 else ()

    def compute(self, nest: LoopNest, pads: Mapping[str, Any]) -> Any:
        """Accumulators int64 over the axes of acc and then the lanes."""
        lanes = nest.hardware.output_lanes

        def unpacked(name: str, values: Mapping[str, Any], channel: Any) -> Any:
            axes = nest.operand[name].axes[:_PLACE]
            place = [axis.at(values) if axis.terms else 0 for axis in axes]
            return _unpacked(nest, pads[name], name, place, channel)

        def element(*index: Any) -> Any:
            *at, lane = index
            names = (name for axis in nest.acc.axes for name, _ in axis.terms)
            values = dict(zip(names, at, strict=True))
            channel = values["b"] * lanes + lane
            product = unpacked("inp", values, channel) * unpacked("other", values, channel)
            if self.rounding == 0:
                return product
            half, shift = (tirx.const(n, "int64") for n in (1 << (self.rounding - 1), self.rounding))
            return (product + half) >> shift

        return te.compute((*nest.acc.extents, lanes), element, name="acc")

    def intrinsics(self, nest: LoopNest) -> tuple[str, str | None]:
        """VEC with mov and then with mul."""
        hw, places = nest.hardware, [_places(nest, name) for name in ("inp", "other")]
        sizes = hw.vector_size, hw.output_lanes, hw.group_blocks
        return _product_intrinsic(self.rounding, *sizes, *places), None

    def cycles(self, nest: LoopNest, tiles: Count, steps: Count) -> Count:
        """One for each block of each micro-op, of which each group has two, and the pipelines."""
        pipeline = nest.hardware.timing.vector_pipeline_cycles
        return 2 * (nest.existing(nest.iterations) + tiles * pipeline)


_PLACE = 4
"""Axes of an operand before the vectors of a channel group: n, rows, columns, groups."""


def _places(nest: LoopNest, name: str) -> tuple[int, ...]:
    """What each digit of the elements of an operand counts."""
    return tuple(1 << nest.hardware.activation_bits * i for i in range(nest.operand[name].digits))


def _unpacked(nest: LoopNest, pad: Any, name: str, place: list[Any], channel: Any) -> Any:
    """Element times scale of a channel of a group; digits are an axis where there are several."""
    size, places = nest.hardware.vector_size, _places(nest, name)
    vector, lane = (*place, channel // size), channel % size
    if len(places) == 1:
        return pad[(*vector, lane)].astype("int64") * pad[(*vector, size)].astype("int64")
    digits = [pad[(*vector, i, lane)].astype("int64") * count for i, count in enumerate(places)]
    return sum(digits[1:], digits[0]) * pad[(*vector, 0, size)].astype("int64")


def _element(tensor: str, vector: str, lane: str, size: int, places: tuple[int, ...]) -> str:
    """The same in TVMScript: of lane `lane` of the vector at `vector`, "" where there is no such axis."""
    start = f"{vector}, " if vector else ""
    if len(places) == 1:
        return f"T.Cast('int64', {tensor}[{start}{lane}]) * T.Cast('int64', {tensor}[{start}{size}])"
    digits = " + ".join(
        f"T.Cast('int64', {tensor}[{start}{i}, {lane}]) * T.int64({place})" for i, place in enumerate(places)
    )
    return f"({digits}) * T.Cast('int64', {tensor}[{start}0, {size}])"


def _vectors(vectors: int, size: int, digits: int) -> tuple[tuple[int, ...], str]:
    """The shape of the vectors of a channel group, and all of it as a region; axes of 1 are dropped."""
    shape = (*(extent for extent in (vectors, digits) if extent > 1), size + 1)
    return shape, ", ".join(f"0 : {extent}" for extent in shape)


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
def _intrinsic(kind: str, size: int, lanes: int, blocks: int, places: tuple[int, ...]) -> str:
    """Name of the registered intrinsic, on acc of a channel group; TVM drops the axis of a single block."""
    vectors = max(1, lanes // size)
    extents = (lanes,) if blocks == 1 else (blocks, lanes)
    axes = ["o"] if blocks == 1 else ["b", "o"]
    at = ", ".join(f"v{axis}" for axis in axes)
    channel = "vo" if blocks == 1 else f"vb * {lanes} + vo"
    vector, lane = (f"vo // {size}", f"vo % {size}") if vectors > 1 else ("", channel)
    value = _element("X", vector, lane, size, places)
    starts = kind in (CLEAR, ZERO)
    for reduction in (LARGEST, TOTAL):
        if kind == reduction.update:
            value = reduction.combined.format(acc=f"C[{at}]", value=value)
        elif kind == reduction.start:
            value = reduction.first
    shape, region = _vectors(vectors, size, len(places))
    whole = ", ".join(f"0 : {extent}" for extent in extents)
    loop = (
        f"for {', '.join(axes)} in T.grid({', '.join(map(str, extents))}):\n"
        f"            with T.sblock('unpack'):\n"
        f"                {at} = T.axis.remap('{'S' * len(axes)}', [{', '.join(axes)}])\n"
        f"                C[{at}] = {value}"
    )
    pointers = "C.access_ptr('rw')" + ("" if starts else ", X.access_ptr('r')")
    entries = f"{shape}, 'int16', scope='local.inp', offset_factor={size + 1}"
    common = {
        "handles": "c: T.handle" if starts else "x: T.handle, c: T.handle",
        "x": "pass" if starts else f"X = T.match_buffer(x, {entries})",
        "shape": extents,
        "lanes": lanes,
        "reads": "" if starts else f"X[{region}]" if kind == MOVE else f"C[{whole}], X[{region}]",
        "whole": whole,
    }
    described, replaced = (
        from_source(_INTRINSIC.format(**common, body=body), extra_vars={"T": T})
        for body in (loop, f"T.evaluate(T.call_extern('int32', '{kind}', {pointers}))")
    )
    name = f"{kind}.v{size}b{lanes}" + "".join(f"p{place}" for place in places[1:])
    TensorIntrin.register(name, described, replaced, override=True)
    return name


_PRODUCT = """
@T.prim_func(s_tir=True)
def main(x: T.handle, s: T.handle, c: T.handle):
    X = T.match_buffer(x, {shape_x}, "int16", scope="local.inp", offset_factor={step})
    S = T.match_buffer(s, {shape_s}, "int16", scope="local.other", offset_factor={step})
    C = T.match_buffer(c, {shape}, "int64", scope="local.acc", offset_factor={lanes})
    with T.sblock("root"):
        T.reads(X[{whole_x}], S[{whole_s}])
        T.writes(C[{whole}])
        {body}
"""


@lru_cache(maxsize=64)
def _product_intrinsic(
    rounding: int, size: int, lanes: int, blocks: int, x: tuple[int, ...], s: tuple[int, ...]
) -> str:
    """Name of the registered intrinsic, on acc of a channel group; TVM drops the axis of a single block."""
    vectors = max(1, lanes // size)
    extents = (lanes,) if blocks == 1 else (blocks, lanes)
    axes = ["o"] if blocks == 1 else ["b", "o"]
    at = ", ".join(f"v{axis}" for axis in axes)
    channel = "vo" if blocks == 1 else f"vb * {lanes} + vo"
    vector, lane = (f"vo // {size}", f"vo % {size}") if vectors > 1 else ("", channel)
    value = " * ".join(
        f"({_element(*at)})" for at in (("X", vector, lane, size, x), ("S", vector, lane, size, s))
    )
    (shape_x, whole_x), (shape_s, whole_s) = (_vectors(vectors, size, len(each)) for each in (x, s))
    if rounding:
        value = f"T.shift_right({value} + T.int64({1 << (rounding - 1)}), T.int64({rounding}))"
    loop = (
        f"for {', '.join(axes)} in T.grid({', '.join(map(str, extents))}):\n"
        f"            with T.sblock('multiply'):\n"
        f"                {at} = T.axis.remap('{'S' * len(axes)}', [{', '.join(axes)}])\n"
        f"                C[{at}] = {value}"
    )
    pointers = "C.access_ptr('rw'), X.access_ptr('r'), S.access_ptr('r')"
    common = {
        "shape_x": shape_x,
        "shape_s": shape_s,
        "whole_x": whole_x,
        "whole_s": whole_s,
        "step": size + 1,
        "shape": extents,
        "lanes": lanes,
        "whole": ", ".join(f"0 : {extent}" for extent in extents),
    }
    described, replaced = (
        from_source(_PRODUCT.format(**common, body=body), extra_vars={"T": T})
        for body in (loop, f"T.evaluate(T.call_extern('int32', '{PRODUCT}', {pointers}))")
    )
    name = f"{PRODUCT}{rounding}.v{size}b{lanes}x{len(x)}s{len(s)}p{x[-1]}.{s[-1]}"
    TensorIntrin.register(name, described, replaced, override=True)
    return name
