"""What the lowering of one layer depends on, apart from its data."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_vsq.errors import ScheduleError
from tvm_vsq.hardware import HardwareConfig


@dataclass(frozen=True)
class Workload:
    """A convolution over vectors: X [n, h, w, cv] -> Y [n, oh, ow, kb * output_lanes channels].

    `cv` counts input vectors (vector_size channels each), `kb` output blocks (output_lanes channels each,
    padded to whole channel groups). `padding` is (top, left, bottom, right). A dense layer of M rows is n=1,
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
    def load_steps(self) -> tuple[int, int]:
        """DRAM rows and columns from one loaded pixel to the next.

        A kernel of extent 1 skips whole pixels where its stride is larger; they need not be loaded.
        """
        top, left, bottom, right = self.padding
        step_h = self.strides[0] if self.r == 1 and top == bottom == 0 else 1
        step_w = self.strides[1] if self.s == 1 and left == right == 0 else 1
        return step_h, step_w

    @property
    def pad_strides(self) -> tuple[int, int]:
        """Stride of the kernel over the pixels in the scratchpad."""
        step_h, step_w = self.load_steps
        return self.strides[0] // step_h, self.strides[1] // step_w

    def input_tile(self, tile_h: int, tile_w: int) -> tuple[int, int]:
        """Rows and columns in the scratchpad, halo included, for an output tile."""
        stride_h, stride_w = self.pad_strides
        rows = (tile_h - 1) * stride_h + (self.r - 1) * self.dilation[0] + 1
        columns = (tile_w - 1) * stride_w + (self.s - 1) * self.dilation[1] + 1
        return rows, columns

    @property
    def gemm_cycles(self) -> int:
        """Micro-ops of the layer: one vector against output_lanes weight vectors each."""
        return self.n * self.oh * self.ow * self.kb * self.cv * self.r * self.s

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

    def check(self, hardware: HardwareConfig, layer: str) -> None:
        """ScheduleError if `kb` is not made of whole channel groups of this hardware."""
        if self.kb % hardware.group_blocks:
            raise ScheduleError(
                f"layer '{layer}': kb={self.kb} blocks of {hardware.output_lanes} channels are not whole "
                f"groups of {hardware.group_channels}; pad kb to a multiple of {hardware.group_blocks}"
            )
