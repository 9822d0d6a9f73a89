"""A product as a workload: vectors become accumulators, which the vector unit multiplies by others."""

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
from tvm_vsq.schedule.vector import Product
from tvm_vsq.schedule.weightless import Weightless


@dataclass(frozen=True)
class Multiplication(Weightless):
    """The product of two tensors of [n, h, w] pixels of `kb` blocks of output_lanes channels.

    repeated: for n, h and w, whether the second one has a single one, which is taken for all. rounding: bits
    that products lose. `wide` results are int32 in DRAM instead of requantized vectors.
    """

    n: int
    h: int
    w: int
    kb: int
    repeated: tuple[bool, bool, bool]
    rounding: int
    has_residual: bool
    wide: bool

    @property
    def key(self) -> str:
        """Stable text for tuning databases."""
        repeated = "".join(str(int(axis)) for axis in self.repeated)
        return (
            f"mul-n{self.n}h{self.h}w{self.w}kb{self.kb}-rep{repeated}sh{self.rounding}"
            f"-res{int(self.has_residual)}wide{int(self.wide)}"
        )

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """Dimensions n, h, w, k, b of the result."""
        dims = result_dims(self.n, self.h, self.w, self.kb, hardware)
        pixels = tuple(Axis.along(dim) for dim in dims[:3])
        others = (Axis(1) if single else axis for single, axis in zip(self.repeated, pixels, strict=True))
        vectors = (Axis.along(dims[3]), Axis(hardware.group_channels // hardware.vector_size))
        inputs = (
            Operand("inp", "inp", (*pixels, *vectors)),
            Operand("other", "inp", (*others, *vectors)),
        )
        return post_processed(
            dims,
            inputs,
            Product(self.rounding),
            hardware,
            blocks=self.kb,
            has_residual=self.has_residual,
            wide=self.wide,
        )

    def text(self, channels: tuple[int, int], hardware: HardwareConfig) -> str:
        """The shape for reports, such as "56x56x64", with "by 1x1" where the second one is smaller."""
        sides = zip(self.repeated[1:], (self.h, self.w), strict=True)
        extents = [1 if single else extent for single, extent in sides]
        shape = self.tensor_text(self.h, self.w, channels[0], hardware)
        return shape if not any(self.repeated) else f"{shape} by {extents[0]}x{extents[1]}"


def _workload(call: Any, has_residual: bool, hardware: HardwareConfig) -> Multiplication:
    (*leading, _, _), (*others, _, _) = (static_shape(call.args[i]) for i in (0, 1))
    if leading == others:
        leading = leading if len(leading) == 3 else [1, 1, prod(leading)]
        others = leading
    else:  # of a sequence, [n, w]; of rows, [w]
        leading, others = (
            [*shape[:-1], 1, shape[-1]] if len(shape) == 2 else [1] * (3 - len(shape)) + shape
            for shape in (leading, others)
        )
    n, h, w = leading
    repeated = tuple(theirs != ours for ours, theirs in zip(leading, others, strict=True))
    return Multiplication(
        n,
        h,
        w,
        output_blocks(int(call.attrs["channels"]), hardware),
        (repeated[0], repeated[1], repeated[2]),
        int(call.attrs["rounding"]),
        has_residual,
        bool(int(call.attrs["wide"])),
    )


LOWER = Lowering(_workload, has_other=True)
