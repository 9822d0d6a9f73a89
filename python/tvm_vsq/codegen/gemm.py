"""GEMM: micro-ops that multiply and accumulate, or clear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tvm_vsq.codegen.leaf import ExternCall
from tvm_vsq.codegen.micro import MicroOps

if TYPE_CHECKING:
    from tvm_vsq.codegen.emit import LayerEmitter


@dataclass(frozen=True)
class Gemm:
    """Updates of accumulators, or, if `reset`, their first writes."""

    micro: MicroOps
    reset: bool

    def emit(self, emitter: LayerEmitter, values: list[int]) -> None:
        """GEMM instructions."""
        if self.reset:
            emitter.buffers[self.micro.pointers[0].buffer].fill()
        fields = {
            "reset": int(self.reset),
            "act_unsigned": int(emitter.post.act_unsigned and not self.reset),
        }
        self.micro.emit_as("GEMM", fields, emitter, values)


def read_update(call: ExternCall) -> Gemm:
    """Of the pointers to acc, inp and wgt."""
    return Gemm(MicroOps(call.extents, call.pointers), reset=False)


def read_clear(call: ExternCall) -> Gemm:
    """Of the pointer to acc."""
    return Gemm(MicroOps(call.extents, call.pointers), reset=True)
