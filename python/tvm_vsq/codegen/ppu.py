"""PPU: post-processing of a whole accumulator tile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

from tvm_vsq.codegen.leaf import ExternCall
from tvm_vsq.codegen.micro import MicroOps
from tvm_vsq.codegen.nest import Affine, Pointer
from tvm_vsq.codegen.step import Step
from tvm_vsq.errors import ProgramError
from tvm_vsq.isa import Insn, code_of
from tvm_vsq.schedule import LoopNest

if TYPE_CHECKING:
    from tvm_vsq.codegen.emit import LayerEmitter


_DIMS = ("n", "h", "w", "k")


@dataclass(frozen=True)
class Table:
    """VEC with a table on a whole tile. tab, par: of the segments, and of what the PPU does with values."""

    acc: Pointer
    tab: str = "tab"
    par: str = "par2"

    def emit(self, emitter: LayerEmitter, values: list[int]) -> None:
        """VEC instructions."""
        table = emitter.buffers[self.tab]
        fields = {
            "op": code_of("VEC", "op", "table"),
            "src": code_of("VEC", "src", "imm"),
            "tab_base": table.start,
        }
        micro = MicroOps(_DIMS, (self.acc,))
        micro.emit_as("VEC", fields, emitter, values, skips="skip_blocks", also=(table.interval,))


@dataclass(frozen=True)
class Added:
    """VEC adds a whole tile of `other` accumulators. par: of what the PPU does with sums, if it does."""

    acc: Pointer
    other: Pointer
    par: str | None

    def emit(self, emitter: LayerEmitter, values: list[int]) -> None:
        """VEC instructions."""
        fields = {"op": code_of("VEC", "op", "add"), "src": code_of("VEC", "src", "acc")}
        micro = MicroOps(_DIMS, (self.acc, self.other))
        micro.emit_as("VEC", fields, emitter, values, skips="skip_blocks")


@dataclass(frozen=True)
class Ppu:
    """Post-process the accumulators of a tile into `out` (None: in place). The last `channel_axes` axes of
    theirs are blocks of a pixel. is_of_rows: whether these are rows that another pass of the PPU has made.
    is_beside: whether their vectors are made already, and these are numbers that are stored, too. added: to
    results that stay accumulators.
    """

    channel_axes: int
    acc: str
    par: str
    par_base: Affine
    res: str | None
    out: str | None
    table: Table | None = None
    added: Added | None = None
    is_of_rows: bool = False
    is_beside: bool = False

    def emit(self, emitter: LayerEmitter, values: list[int], last: Ppu | None = None) -> None:
        """As many instructions as their field `pixels` wants; twice, around a table or sum. last: what is
        made of the same accumulators then.
        """
        if last is not None:
            self._with(last, emitter, values)
            return
        if self.added is not None:
            self._process(emitter, values)
            self.added.emit(emitter, values)
            if self.added.par is not None:
                replace(self, par=self.added.par, res=None, is_of_rows=True)._process(emitter, values)
            return
        if self.table is None:
            self._process(emitter, values)
            return
        replace(self, out=None)._process(emitter, values)
        self.table.emit(emitter, values)
        last = replace(self, par=self.table.par)
        last._process(emitter, values, relu=False)

    def _with(self, last: Ppu, emitter: LayerEmitter, values: list[int]) -> None:
        """Both; from a piece of parameters that they share before the next one is loaded."""
        if last.par != self.par:
            self._process(emitter, values)
            last._process(emitter, values)
            return
        if self.out is not None:
            emitter.fill(self.out)
        for first, count in emitter.pieces(self.par, emitter.blocks(values).count):
            for each in (self, last):
                each._process_piece(emitter, values, True, first, count)

    def _process(self, emitter: LayerEmitter, values: list[int], relu: bool = True) -> None:
        if emitter.post.transposed and self.out is not None:
            self._transpose(emitter, values, self.out, relu)
            return
        if self.out is not None:
            emitter.fill(self.out)
        for first, count in emitter.pieces(self.par, emitter.blocks(values).count):
            self._process_piece(emitter, values, relu, first, count)

    def _process_piece(
        self, emitter: LayerEmitter, values: list[int], relu: bool, first: int, count: int
    ) -> None:
        """`count` of the blocks of each pixel, from number `first` on."""
        hardware, post = emitter.hardware, emitter.post
        acc = emitter.buffers[self.acc]
        out = emitter.buffers[self.out] if self.out is not None else None
        res = emitter.buffers[self.res] if self.res is not None else None
        pixels = prod(acc.shape[: -self.channel_axes])
        tile, name = emitter.blocks(values), self.out or self.res
        read, written = emitter.digits("res"), post.form.digits
        lanes, size = hardware.output_lanes, hardware.vector_size
        whole = vectors = -(-count * lanes // size)
        before, of_pixel = first * lanes // size, -(-tile.count * lanes // size)
        if name is not None:
            of_pixel = min(of_pixel, emitter.views[name].vectors - tile.first * lanes // size)
            vectors = min(whole, of_pixel - before)
        start = emitter.parameters(self.par)
        relus = post.rows_relu if self.is_of_rows else post.relu
        relus = post.beside_relu if self.is_beside else relus
        most = emitter.limit("PPU", "pixels")
        for pixel in range(0, pixels, most):
            fields = {
                "wide": int(out is None),
                "relu": int(relus and relu),
                "residual": int(res is not None),
                "out_unsigned": int(post.out_unsigned and out is not None),
                "acc_base": acc.start + pixel * tile.count + first,
                "par_base": start[1] + self.par_base.at(values),
                "pixels": min(most, pixels - pixel),
                "blocks": count,
                "skip_vectors": whole - vectors,
            }
            if count < tile.count:
                fields["acc_skip"] = tile.count - count
                fields["vector_skip"] = 0 if name is None else of_pixel - vectors
            reads, writes = [acc.interval, start], [acc.interval]
            if out is not None:
                fields |= post.requantized
                fields["out_base"] = out.start + (pixel * of_pixel + before) * written
                writes = [out.interval]
            if res is not None:
                fields |= emitter.digit_field("res", "res_digits")
                fields |= {
                    "res_base": res.start + (pixel * of_pixel + before) * read,
                    "res_unsigned": int(post.res_unsigned),
                    "res_mult": post.res_mult,
                    "res_shift": post.res_shift,
                }
                reads.append(res.interval)
            emitter.steps.append(Step(Insn("PPU", fields), emitter.layer, tuple(reads), tuple(writes)))

    def _transpose(self, emitter: LayerEmitter, values: list[int], name: str, relu: bool) -> None:
        """An instruction for each image: its pixels are whole groups of a vector, but for the last one of
        all.
        """
        hardware, post = emitter.hardware, emitter.post
        acc, par, out = (emitter.buffers[each] for each in (self.acc, self.par, name))
        emitter.fill(out.buffer.name)
        images, groups, size = acc.shape[:3]
        tile, lanes = emitter.blocks(values), hardware.output_lanes
        first = emitter.pixel(values)[0] * size
        pixels = min(groups * size, emitter.nest.tile.nest.operand["inp"].extents[1] - first)
        exists = min(tile.count * lanes, emitter.views[name].dims[1] - tile.first * lanes)
        for image in range(images):
            fields = {
                "transpose": 1,
                "relu": int(post.relu and relu),
                "out_unsigned": int(post.out_unsigned),
                "acc_base": acc.start + image * groups * size * tile.count,
                "par_base": par.start + self.par_base.at(values),
                "out_base": out.start + image * emitter.transposed_entries(values),
                "pixels": pixels,
                "blocks": tile.count,
                "skip_vectors": tile.count * lanes - exists,
                **post.requantized,
            }
            reads = (acc.interval, par.interval)
            emitter.steps.append(Step(Insn("PPU", fields), emitter.layer, reads, (out.interval,)))


def read_ppu(call: ExternCall) -> Ppu:
    """Of the first elements of acc, par and, if there is one, res."""
    if call.target is None:
        raise ProgramError("post-processing assigns nothing; this schedule is not supported")
    first = {pad.buffer.name: (pad.buffer, index) for pad, index in call.reads}
    acc, _ = first["acc"]
    # The parameters of a tile are contiguous from the first one on: a row-major index. Those that are
    # streamed are no operand of the call.
    base = Affine(0)
    if "par" in first:
        par, start = first["par"]
        for extent, index in zip(par.shape, start, strict=True):
            base = base.times(extent).plus(index)
    added = None
    if "other" in first:
        acc_of, other_of = (tile_pointer(call.nest, name, _DIMS) for name in ("acc", "other"))
        added = Added(acc_of, other_of, "par2" if "par2" in first else None)
    return Ppu(
        channel_axes=len(call.nest.acc.axes) - 3,
        acc=acc.name,
        par="par",
        par_base=base,
        res="res" if "res" in first else None,
        out=None if call.target.alias else call.target.buffer.name,
        table=Table(tile_pointer(call.nest, "acc", _DIMS)) if "tab" in first else None,
        added=added,
    )


def tile_pointer(nest: LoopNest, name: str, dims: tuple[str, ...]) -> Pointer:
    """To all that a tile has of an operand, along these dimensions."""
    axes = nest.operand[name].axes
    steps = tuple(tuple(dict(axis.terms).get(dim, 0) for axis in axes) for dim in dims)
    return Pointer(name, (Affine(0),) * len(axes), steps)
