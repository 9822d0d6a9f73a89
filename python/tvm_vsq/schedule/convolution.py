"""Convolutions over vectors, and dense layers as their special case: shape, key and loop nest."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.access import Axis, Dim, Operand, window_dims
from tvm_vsq.schedule.gemm import MultiplyAccumulate
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.schedule.postprocess import post_processed, result_dims


@dataclass(frozen=True)
class Convolution:
    """A convolution over vectors: X [n, h, w, cv] -> Y [n, oh, ow, kb * output_lanes channels].

    `cv` counts input vectors (vector_size channels each), `kb` output blocks (output_lanes channels each).
    `padding` is (top, left, bottom, right). A dense layer of M rows is n=1,
    h=1, w=M, r=s=1. `wide` layers leave int32 in DRAM instead of requantized vectors. ScheduleError for an
    impossible shape.
    """

    n: int
    h: int
    w: int
    cv: int
    kb: int
    r: int = 1
    s: int = 1
    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    has_residual: bool = False
    wide: bool = False

    def __post_init__(self) -> None:
        sizes = {
            "n": self.n,
            "h": self.h,
            "w": self.w,
            "cv": self.cv,
            "kb": self.kb,
            "r": self.r,
            "s": self.s,
        }
        sizes |= {"strides": min(self.strides), "dilation": min(self.dilation)}
        for name, value in sizes.items():
            if value < 1:
                raise ScheduleError(f"workload field '{name}' is {value}; it must be at least 1")
        if min(self.padding) < 0:
            raise ScheduleError(
                f"workload field 'padding' is {self.padding}; crop the input instead of a negative padding"
            )
        if self.oh < 1 or self.ow < 1:
            raise ScheduleError(
                f"workload: a {self.r}x{self.s} kernel with dilation {self.dilation} does not fit into the "
                f"{self.h}x{self.w} input with padding {self.padding}; enlarge the input or its padding"
            )

    @property
    def oh(self) -> int:
        """Output rows."""
        top, _, bottom, _ = self.padding
        return (self.h + top + bottom - self.dilation[0] * (self.r - 1) - 1) // self.strides[0] + 1

    @property
    def ow(self) -> int:
        """Output columns."""
        _, left, _, right = self.padding
        return (self.w + left + right - self.dilation[1] * (self.s - 1) - 1) // self.strides[1] + 1

    @property
    def key(self) -> str:
        """Stable text for tuning databases; equal keys lower alike on the same hardware."""
        parts = [
            f"n{self.n}h{self.h}w{self.w}cv{self.cv}kb{self.kb}r{self.r}s{self.s}",
            "st{}x{}".format(*self.strides),
            "pd{}.{}.{}.{}".format(*self.padding),
            "dl{}x{}".format(*self.dilation),
            f"res{int(self.has_residual)}wide{int(self.wide)}",
        ]
        return "-".join(parts)

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """Dimensions n, h, w, k, b of the result, and c (input vectors), r and s (the kernel)."""
        dims = result_dims(self.n, self.oh, self.ow, self.kb, hardware)
        n, h, w, k, b = dims
        c, (r, s) = Dim("c", self.cv, True, "tile_c"), window_dims(self.r, self.s)
        (down, across), (dilate_h, dilate_w) = self.strides, self.dilation
        top, left, bottom, right = self.padding
        rows = Axis.window(self.h, h, r, down, dilate_h, (top, bottom))
        columns = Axis.window(self.w, w, s, across, dilate_w, (left, right))
        inputs = (
            Operand("inp", "inp", (Axis.along(n), rows, columns, Axis.along(c))),
            Operand("wgt", "wgt", tuple(map(Axis.along, (k, b, c, r, s))), constant=True, title="weights"),
        )
        return post_processed(
            (*dims, c, r, s),
            inputs,
            MultiplyAccumulate(),
            hardware,
            blocks=self.kb,
            has_residual=self.has_residual,
            wide=self.wide,
        )

    def text(self, channels: tuple[int, int], hardware: HardwareConfig) -> str:
        """The shape for reports, such as "5x5x8 > 3x3x3(8) 3x3": channels in brackets are with padding."""
        batch = f"{self.n}x" if self.n > 1 else ""
        given, taken = (
            f"{count}" if count == filled else f"{count}({filled})"
            for count, filled in zip(channels, self.padded_channels(hardware), strict=True)
        )
        return f"{batch}{self.h}x{self.w}x{given} > {batch}{self.oh}x{self.ow}x{taken} {self.r}x{self.s}"

    def padded_channels(self, hardware: HardwareConfig) -> tuple[int, int]:
        """Channels of input and result, with those that fill up vectors and blocks."""
        return self.cv * hardware.vector_size, self.kb * hardware.output_lanes

    def macs(self, channels: tuple[int, int]) -> int:
        """Multiply-accumulates between so many channels of input and result."""
        given, taken = channels
        return self.n * self.oh * self.ow * taken * given * self.r * self.s
