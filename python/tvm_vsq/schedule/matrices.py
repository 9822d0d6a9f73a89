"""Products of two stacks of matrices, both activations, as a workload: the second one takes the place of
weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.access import Axis, Dim, Operand
from tvm_vsq.schedule.gemm import MultiplyAccumulate
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.schedule.postprocess import post_processed, result_dims


@dataclass(frozen=True)
class MatrixProduct:
    """X [n, h, w, cv] times the transposed Y [n, h, columns, cv] -> [n, h, w, kb * output_lanes columns].

    `cv` counts vectors, `kb` blocks of output_lanes columns. `wide` results are int32 in DRAM instead of
    requantized vectors. shared: Y is [n, 1, columns, cv], the same for all h.
    """

    n: int
    h: int
    w: int
    cv: int
    kb: int
    has_residual: bool = False
    wide: bool = False
    shared: bool = False

    @property
    def key(self) -> str:
        """Stable text for tuning databases."""
        return (
            f"matmul-n{self.n}h{self.h}w{self.w}cv{self.cv}kb{self.kb}"
            f"-res{int(self.has_residual)}wide{int(self.wide)}{'-shared' if self.shared else ''}"
        )

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """Dimensions n, h, w, k, b of the result, and c (vectors)."""
        dims = result_dims(self.n, self.h, self.w, self.kb, hardware)
        n, h, w, k, b = dims
        c = Dim("c", self.cv, True, "tile_c")
        row = Axis(1) if self.shared else Axis.along(h)
        inputs = (
            Operand("inp", "inp", tuple(map(Axis.along, (n, h, w, c)))),
            Operand("wgt", "wgt", (Axis.along(n), row, *map(Axis.along, (k, b, c))), gathered=True),
        )
        return post_processed(
            (*dims, c),
            inputs,
            MultiplyAccumulate(),
            hardware,
            blocks=self.kb,
            has_residual=self.has_residual,
            wide=self.wide,
        )

    def text(self, channels: tuple[int, int], hardware: HardwareConfig) -> str:
        """The shape for reports, such as "12x128x64 > 12x128x128"."""
        stack = f"{self.n}x" if self.n > 1 else ""
        given, taken = (
            f"{count}" if count == filled else f"{count}({filled})"
            for count, filled in zip(channels, self.padded_channels(hardware), strict=True)
        )
        return f"{stack}{self.h}x{self.w}x{given} > {stack}{self.h}x{self.w}x{taken}"

    def padded_channels(self, hardware: HardwareConfig) -> tuple[int, int]:
        """Channels of input and result, with those that fill up vectors and blocks."""
        return self.cv * hardware.vector_size, self.kb * hardware.output_lanes

    def macs(self, channels: tuple[int, int]) -> int:
        """Multiply-accumulates between so many channels of input and result."""
        given, taken = channels
        return self.n * self.h * self.w * taken * given
