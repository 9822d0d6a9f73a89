"""VEC: micro-ops of the vector unit on accumulators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tvm_vsq.codegen.leaf import ExternCall
from tvm_vsq.codegen.micro import MicroOps
from tvm_vsq.isa import code_of

if TYPE_CHECKING:
    from tvm_vsq.codegen.emit import LayerEmitter


@dataclass(frozen=True)
class Vector:
    """`op` of accumulators and of vectors, or, without a second pointer, of the lowest accumulator.

    starts: whether it is the first to write a tile of accumulators. is_clipped: whether vectors of the border
    of an image are left out.
    """

    micro: MicroOps
    op: str
    starts: bool
    is_clipped: bool = False

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
        else:
            bits = min(emitter.hardware.accumulator_bits, 32)
            fields["imm"] = -(1 << (bits - 1))
        clipped = 1 if self.is_clipped else None
        self.micro.emit_as("VEC", fields, emitter, values, clipped=clipped, skips="skip_blocks")


def read_maximum(call: ExternCall) -> Vector:
    """Of the pointers to acc and inp."""
    return Vector(MicroOps(call.dims, call.pointers), "max", starts=False, is_clipped=True)


def read_lowest(call: ExternCall) -> Vector:
    """Of the pointer to acc."""
    return Vector(MicroOps(call.dims, call.pointers), "mov", starts=True)


def read_move(call: ExternCall) -> Vector:
    """Of the pointers to acc and inp."""
    return Vector(MicroOps(call.dims, call.pointers), "mov", starts=True)
