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
class Ppu:
    """Post-process the accumulators of a tile into `out` (None: in place). The last `channel_axes` axes of
    theirs are blocks of a pixel.
    """

    channel_axes: int
    acc: str
    par: str
    par_base: Affine
    res: str | None
    out: str | None
    table: Table | None = None

    def emit(self, emitter: LayerEmitter, values: list[int]) -> None:
        """As many instructions as their field `pixels` wants; twice, around a table."""
        if self.table is None:
            self._process(emitter, values)
            return
        replace(self, out=None)._process(emitter, values)
        self.table.emit(emitter, values)
        last = replace(self, par=self.table.par)
        last._process(emitter, values, relu=False)

    def _process(self, emitter: LayerEmitter, values: list[int], relu: bool = True) -> None:
        hardware, post = emitter.hardware, emitter.post
        acc, par = emitter.buffers[self.acc], emitter.buffers[self.par]
        out = emitter.buffers[self.out] if self.out is not None else None
        res = emitter.buffers[self.res] if self.res is not None else None
        if out is not None:
            emitter.fill(out.buffer.name)
        pixels = prod(acc.shape[: -self.channel_axes])
        tile, name = emitter.blocks(values), self.out or self.res
        blocks, lanes, size = tile.count, hardware.output_lanes, hardware.vector_size
        vectors = whole = -(-blocks * lanes // size)
        if name is not None:
            vectors = min(whole, emitter.views[name].dims[-1] - tile.first * lanes // size)
        most = emitter.limit("PPU", "pixels")
        for pixel in range(0, pixels, most):
            fields = {
                "wide": int(out is None),
                "relu": int(post.relu and relu),
                "residual": int(res is not None),
                "out_unsigned": int(post.out_unsigned and out is not None),
                "acc_base": acc.start + pixel * blocks,
                "par_base": par.start + self.par_base.at(values),
                "pixels": min(most, pixels - pixel),
                "blocks": blocks,
                "skip_vectors": whole - vectors,
            }
            reads, writes = [acc.interval, par.interval], [acc.interval]
            if out is not None:
                fields["out_base"] = out.start + pixel * vectors
                writes = [out.interval]
            if res is not None:
                fields |= {
                    "res_base": res.start + pixel * vectors,
                    "res_unsigned": int(post.res_unsigned),
                    "res_mult": post.res_mult,
                    "res_shift": post.res_shift,
                }
                reads.append(res.interval)
            emitter.steps.append(Step(Insn("PPU", fields), emitter.layer, tuple(reads), tuple(writes)))


def read_ppu(call: ExternCall) -> Ppu:
    """Of the first elements of acc, par and, if there is one, res."""
    if call.target is None:
        raise ProgramError("post-processing assigns nothing; this schedule is not supported")
    first = {pad.buffer.name: (pad.buffer, index) for pad, index in call.reads}
    (acc, _), (par, start) = first["acc"], first["par"]
    # The parameters of a tile are contiguous from the first one on: a row-major index.
    base = Affine(0)
    for extent, index in zip(par.shape, start, strict=True):
        base = base.times(extent).plus(index)
    return Ppu(
        channel_axes=len(par.shape),
        acc=acc.name,
        par=par.name,
        par_base=base,
        res="res" if "res" in first else None,
        out=None if call.target.alias else call.target.buffer.name,
        table=Table(_pointer(call.nest)) if "tab" in first else None,
    )


def _pointer(nest: LoopNest) -> Pointer:
    """To the accumulators of a tile, along the dimensions of groups of channels."""
    axes = nest.operand["acc"].axes
    steps = tuple(tuple(dict(axis.terms).get(dim, 0) for axis in axes) for dim in _DIMS)
    return Pointer("acc", (Affine(0),) * len(axes), steps)
