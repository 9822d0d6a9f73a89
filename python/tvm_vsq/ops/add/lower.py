"""A sum as a workload: vectors become accumulators, and post-processing adds those of the other operand."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from tvm_vsq.codegen.lowering import Lowering, output_blocks
from tvm_vsq.graph import static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule import LoopNest
from tvm_vsq.schedule.access import Axis, Operand
from tvm_vsq.schedule.postprocess import post_processed, result_dims
from tvm_vsq.schedule.vector import Unpack
from tvm_vsq.schedule.weightless import Weightless


@dataclass(frozen=True)
class Sum(Weightless):
    """The sum of two tensors of [n, h, w] pixels of `kb` blocks of output_lanes channels.

    `wide` results are int32 in DRAM instead of requantized vectors.
    """

    n: int
    h: int
    w: int
    kb: int
    wide: bool

    @property
    def key(self) -> str:
        """Stable text for tuning databases."""
        return f"add-n{self.n}h{self.h}w{self.w}kb{self.kb}-wide{int(self.wide)}"

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """Dimensions n, h, w, k, b of the result."""
        dims = result_dims(self.n, self.h, self.w, self.kb, hardware)
        pixels = tuple(Axis.along(dim) for dim in dims[:3])
        vectors = Axis(hardware.group_channels // hardware.vector_size)
        inputs = (Operand("inp", "inp", (*pixels, Axis.along(dims[3]), vectors)),)
        return post_processed(
            dims, inputs, Unpack(), hardware, blocks=self.kb, has_residual=True, wide=self.wide
        )

    def text(self, channels: tuple[int, int], hardware: HardwareConfig) -> str:
        """The shape for reports, such as "56x56x64"."""
        return self.tensor_text(self.h, self.w, channels[0], hardware)


def _workload(call: Any, _has_residual: bool, hardware: HardwareConfig) -> Sum:
    *leading, _, _ = static_shape(call.args[0])
    n, h, w = leading if len(leading) == 3 else (1, 1, prod(leading))
    return Sum(n, h, w, output_blocks(int(call.attrs["channels"]), hardware), bool(int(call.attrs["wide"])))


LOWER = Lowering(_workload)
