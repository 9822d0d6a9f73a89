"""GEMM: micro-ops that multiply and accumulate. The first of a reduction overwrite, so nothing is cleared."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from tvm_vsq.codegen.clip import Box
from tvm_vsq.codegen.leaf import ExternCall
from tvm_vsq.codegen.micro import MicroOps
from tvm_vsq.schedule.digits import PASSES

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
        """GEMM instructions: those of a pass, one pass after the other."""
        acc, hardware = emitter.buffers[self.micro.pointers[0].buffer], emitter.hardware
        whole = Box.whole(tuple(emitter.sizes[dim] for dim in self.micro.dims))
        x_digits, w_digits = emitter.digits("inp"), emitter.digits("wgt")
        is_gathered = emitter.nest.tile.nest.operand["wgt"].gathered
        width = (hardware.formats.second_record if is_gathered else hardware.formats.weight).bits
        for x, w in product(range(x_digits), range(w_digits)):
            fields = {
                "act_unsigned": int(emitter.post.act_unsigned or x < x_digits - 1),
                "wgt_unsigned": int(w < w_digits - 1),
                "shift": x * hardware.activation_bits + w * width,
                "unscaled": int(emitter.post.unscaled),
            }
            fields = {name: value for name, value in fields.items() if value or name == "act_unsigned"}
            ranges = {PASSES["inp"]: (x, 1), PASSES["wgt"]: (w, 1)}
            only = whole.part(self.micro.dims, ranges)
            self.micro.emit_as("GEMM", fields, emitter, values, overwrite=acc.fresh, only=only)
            acc.fresh = False


def read_update(call: ExternCall) -> Update:
    """Of the pointers to acc, inp and wgt."""
    return Update(MicroOps(call.dims, call.pointers))


def read_clear(call: ExternCall) -> Clear:
    """Of the pointer to acc."""
    return Clear(call.pointers[0].buffer)
