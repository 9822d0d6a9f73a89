"""Windows of an image, of which each channel is reduced by itself: pools of every kind, as workloads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.access import Axis, Dim, Operand, window_dims
from tvm_vsq.schedule.nest import Body, LoopNest
from tvm_vsq.schedule.postprocess import post_processed, result_dims
from tvm_vsq.schedule.weightless import Weightless


@dataclass(frozen=True)
class Windows(Weightless, ABC):
    """One number for each window of [n, h, w] pixels of `kb` blocks of output_lanes channels.

    `padding` is (top, left, bottom, right). `wide` results are int32 in DRAM instead of requantized vectors.
    """

    n: int
    h: int
    w: int
    kb: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    has_residual: bool
    wide: bool

    @property
    @abstractmethod
    def body(self) -> Body:
        """How a window becomes a number."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """The word that tells keys of one kind from those of others."""

    @property
    def out(self) -> tuple[int, int]:
        """Rows and columns of the result."""
        return self._windows(0, self.h), self._windows(1, self.w)

    def _windows(self, axis: int, extent: int) -> int:
        padded = extent + self.padding[axis] + self.padding[axis + 2]
        reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        return (padded - reach) // self.strides[axis] + 1

    @property
    def key(self) -> str:
        """Stable text for tuning databases."""
        parts = [
            f"{self.kind}-n{self.n}h{self.h}w{self.w}kb{self.kb}r{self.kernel[0]}s{self.kernel[1]}",
            "st{}x{}".format(*self.strides),
            "pd{}.{}.{}.{}".format(*self.padding),
            "dl{}x{}".format(*self.dilation),
            f"res{int(self.has_residual)}wide{int(self.wide)}",
        ]
        return "-".join(parts)

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """Dimensions n, h, w, k, b of the result, and r and s, the window."""
        return self._nest(hardware, window_dims(*self.kernel))

    def _nest(
        self, hardware: HardwareConfig, taps: tuple[Dim, Dim], constants: tuple[Operand, ...] = ()
    ) -> LoopNest:
        """With these dimensions of the window, and what it is reduced with."""
        dims = result_dims(self.n, *self.out, self.kb, hardware)
        n, h, w, k, _ = dims
        r, s = taps
        (down, across), (tall, wide) = self.strides, self.dilation
        top, left, bottom, right = self.padding
        rows = Axis.window(self.h, h, r, down, tall, (top, bottom))
        columns = Axis.window(self.w, w, s, across, wide, (left, right))
        vectors = Axis(hardware.group_channels // hardware.vector_size)
        image = Operand("inp", "inp", (Axis.along(n), rows, columns, Axis.along(k), vectors))
        return post_processed(
            (*dims, r, s),
            (image, *constants),
            self.body,
            hardware,
            blocks=self.kb,
            has_residual=self.has_residual,
            wide=self.wide,
        )

    def text(self, channels: tuple[int, int], hardware: HardwareConfig) -> str:
        """The shape for reports, such as "112x112x64 > 56x56x64 3x3"."""
        given, taken = (
            self.tensor_text(*extents, channels[0], hardware) for extents in ((self.h, self.w), self.out)
        )
        return f"{given} > {taken} {self.kernel[0]}x{self.kernel[1]}"
