"""GEMM: micro-ops that multiply and accumulate. The first of a reduction overwrite, so nothing is cleared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tvm_vsq.codegen.leaf import ExternCall
from tvm_vsq.codegen.micro import MicroOps

if TYPE_CHECKING:
    from tvm_vsq.codegen.emit import LayerEmitter


@dataclass(frozen=True)
class Clear:
    """A tile of accumulators begins: what updates it next overwrites."""

    acc: str

    def emit(self, emitter: LayerEmitter, _values: list[int]) -> None:
        """No instruction."""
        emitter.fill(self.acc)


@dataclass(frozen=True)
class Update:
    """Updates of all accumulators of a tile."""

    micro: MicroOps

    def emit(self, emitter: LayerEmitter, values: list[int]) -> None:
        """GEMM instructions."""
        acc = emitter.buffers[self.micro.pointers[0].buffer]
        fields = {"act_unsigned": int(emitter.post.act_unsigned)}
        self.micro.emit_as("GEMM", fields, emitter, values, overwrite=acc.fresh)
        acc.fresh = False


def read_update(call: ExternCall) -> Update:
    """Of the pointers to acc, inp and wgt."""
    return Update(MicroOps(call.dims, call.pointers))


def read_clear(call: ExternCall) -> Clear:
    """Of the pointer to acc."""
    return Clear(call.pointers[0].buffer)
