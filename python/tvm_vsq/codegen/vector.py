"""VEC: micro-ops of the vector unit on accumulators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, product
from typing import TYPE_CHECKING

from tvm_vsq.codegen.clip import Box
from tvm_vsq.codegen.leaf import ExternCall
from tvm_vsq.codegen.micro import MicroOps
from tvm_vsq.errors import ProgramError
from tvm_vsq.isa import code_of
from tvm_vsq.schedule.vector import Product, Unpack

if TYPE_CHECKING:
    from tvm_vsq.codegen.emit import LayerEmitter


@dataclass(frozen=True)
class Vector:
    """`op` of accumulators and of vectors, or, without a second pointer, of an immediate: the lowest
    accumulator if `is_lowest`, else 0.

    starts: whether it is the first to write a tile of accumulators. is_clipped: whether vectors of the border
    of an image are left out.
    """

    micro: MicroOps
    op: str
    starts: bool
    is_clipped: bool = False
    is_lowest: bool = False

    def emit(self, emitter: LayerEmitter, values: list[int]) -> None:
        """VEC instructions."""
        if self.starts:
            emitter.fill(self.micro.pointers[0].buffer)
        has_vectors = len(self.micro.pointers) > 1
        fields = {
            "op": code_of("VEC", "op", self.op),
            "src": code_of("VEC", "src", "inp" if has_vectors else "imm"),
        }
        if has_vectors:
            fields["src_unsigned"] = int(emitter.post.act_unsigned)
            fields |= emitter.digit_field("inp")
        elif self.is_lowest:
            bits = min(emitter.hardware.accumulator_bits, 32)
            fields["imm"] = -(1 << (bits - 1))
        clipped = 1 if self.is_clipped else None
        self.micro.emit_as("VEC", fields, emitter, values, clipped=clipped, skips="skip_blocks")


@dataclass(frozen=True)
class Sum:
    """Adds vectors, but those of the border of an image, each times the factors of its row and column of the
    result; without factors, times 1.
    """

    micro: MicroOps
    factors: tuple[tuple[int, ...], tuple[int, ...]]

    def emit(self, emitter: LayerEmitter, values: list[int]) -> None:
        """VEC instructions: with mac where a factor is not 1, else with add."""
        common = {"src": code_of("VEC", "src", "inp"), "src_unsigned": int(emitter.post.act_unsigned)}
        common |= emitter.digit_field("inp")
        for box, factor in self._pieces(emitter, values):
            fields = {**common, "op": code_of("VEC", "op", "add" if factor == 1 else "mac")}
            if factor != 1:
                fields["imm"] = factor
            self.micro.emit_as("VEC", fields, emitter, values, clipped=1, skips="skip_blocks", only=box)

    def _pieces(self, emitter: LayerEmitter, values: list[int]) -> Iterator[tuple[Box, int]]:
        """Boxes of iterations that share a factor."""
        whole = Box.whole(tuple(emitter.sizes[dim] for dim in self.micro.dims))
        if not any(self.factors):
            yield whole, 1
            return
        axes = [
            list(_runs(factors[first : first + emitter.sizes[dim]]))
            for factors, first, dim in zip(self.factors, emitter.pixel(values), ("h", "w"), strict=True)
        ]
        for (row, down), (column, across) in product(*axes):
            yield whole.part(self.micro.dims, {"h": row, "w": column}), down * across


@dataclass(frozen=True)
class Multiplication:
    """Moves the vectors of `moved`, and multiplies them by those of `factors`; products lose `shift` bits."""

    moved: MicroOps
    factors: MicroOps
    shift: int

    def emit(self, emitter: LayerEmitter, values: list[int]) -> None:
        """VEC instructions."""
        emitter.fill(self.moved.pointers[0].buffer)
        post, source = emitter.post, code_of("VEC", "src", "inp")
        for micro, op, unsigned, fields in (
            (self.moved, "mov", post.act_unsigned, emitter.digit_field("inp")),
            (
                self.factors,
                "mul",
                post.other_unsigned,
                {"shift": self.shift, **emitter.digit_field("other")},
            ),
        ):
            fields |= {"op": code_of("VEC", "op", op), "src": source, "src_unsigned": int(unsigned)}
            micro.emit_as("VEC", fields, emitter, values, skips="skip_blocks")


def _runs(factors: tuple[int, ...]) -> Iterator[tuple[tuple[int, int], int]]:
    """(first, extent) of neighbours that are equal, and what they are."""
    first = 0
    for factor, run in groupby(factors):
        extent = len(list(run))
        yield (first, extent), factor
        first += extent


def read_maximum(call: ExternCall) -> Vector:
    """Of the pointers to acc and inp."""
    return Vector(MicroOps(call.dims, call.pointers), "max", starts=False, is_clipped=True)


def read_lowest(call: ExternCall) -> Vector:
    """Of the pointer to acc."""
    return Vector(MicroOps(call.dims, call.pointers), "mov", starts=True, is_lowest=True)


def read_zero(call: ExternCall) -> Vector:
    """Of the pointer to acc."""
    return Vector(MicroOps(call.dims, call.pointers), "mov", starts=True)


def read_sum(call: ExternCall) -> Sum:
    """Of the pointers to acc and inp."""
    body = call.nest.body
    if not isinstance(body, Unpack):
        raise ProgramError("a sum of vectors is no window's; this schedule is not supported")
    return Sum(MicroOps(call.dims, call.pointers), body.factors)


def read_product(call: ExternCall) -> Multiplication:
    """Of the pointers to acc and to both factors."""
    body, (acc, x, other) = call.nest.body, call.pointers
    if not isinstance(body, Product):
        raise ProgramError("a product of vectors has no rounding; this schedule is not supported")
    return Multiplication(MicroOps(call.dims, (acc, x)), MicroOps(call.dims, (acc, other)), body.rounding)


def read_move(call: ExternCall) -> Vector:
    """Of the pointers to acc and inp."""
    return Vector(MicroOps(call.dims, call.pointers), "mov", starts=True)
