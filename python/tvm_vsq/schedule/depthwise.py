"""Depthwise convolutions: shape, key, loop nest, and an instruction that reduces whole windows as body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from tvm import te, tirx

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.access import Axis, Count, Dim, Operand
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.schedule.postprocess import post_processed, result_dims
from tvm_vsq.schedule.weightless import Weightless

DEPTHWISE = "vsq.dwconv"


@dataclass(frozen=True)
class Depthwise(Weightless):
    """A filter for each channel of [n, h, w] pixels of `kb` blocks of output_lanes channels.

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
    def out(self) -> tuple[int, int]:
        """Rows and columns of the result."""
        return self._windows(0, self.h), self._windows(1, self.w)

    def _windows(self, axis: int, extent: int) -> int:
        padded = extent + self.padding[axis] + self.padding[axis + 2]
        reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        return (padded - reach) // self.strides[axis] + 1

    @property
    def taps(self) -> int:
        """Of a filter."""
        return self.kernel[0] * self.kernel[1]

    def runs(self, hardware: HardwareConfig) -> int:
        """How often the vectors of a filter begin anew: in each row, unless there are no scales."""
        return 1 if hardware.weight_scale_bits is None else self.kernel[0]

    @property
    def key(self) -> str:
        """Stable text for tuning databases."""
        parts = [
            f"dw-n{self.n}h{self.h}w{self.w}kb{self.kb}r{self.kernel[0]}s{self.kernel[1]}",
            "st{}x{}".format(*self.strides),
            "pd{}.{}.{}.{}".format(*self.padding),
            "dl{}x{}".format(*self.dilation),
            f"res{int(self.has_residual)}wide{int(self.wide)}",
        ]
        return "-".join(parts)

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """Dimensions n, h, w, k, b of the result, and r and s, the kernel, which is whole in every tile."""
        dims = result_dims(self.n, *self.out, self.kb, hardware)
        n, h, w, k, b = dims
        r, s = Dim("r", self.kernel[0], True), Dim("s", self.kernel[1], True)
        (down, across), (tall, wide) = self.strides, self.dilation
        top, left, bottom, right = self.padding
        rows = Axis.window(self.h, h, r, down, tall, (top, bottom))
        columns = Axis.window(self.w, w, s, across, wide, (left, right))
        vectors = Axis(hardware.group_channels // hardware.vector_size)
        runs = self.runs(hardware)
        entries = Axis(runs * -(-(self.taps // runs) // hardware.vector_size))
        inputs = (
            Operand("inp", "inp", (Axis.along(n), rows, columns, Axis.along(k), vectors)),
            Operand(
                "wgt",
                "wgt",
                (Axis.along(k), Axis.along(b), entries),
                constant=True,
                resident=True,
                title="weights",
            ),
        )
        return post_processed(
            (*dims, r, s),
            inputs,
            SumOfTaps(self),
            hardware,
            blocks=self.kb,
            has_residual=self.has_residual,
            wide=self.wide,
        )

    def text(self, channels: tuple[int, int], hardware: HardwareConfig) -> str:
        """The shape for reports, such as "112x112x32 > 112x112x32 3x3 depthwise"."""
        given, taken = (
            self.tensor_text(*extents, channels[0], hardware) for extents in ((self.h, self.w), self.out)
        )
        return f"{given} > {taken} {self.kernel[0]}x{self.kernel[1]} depthwise"

    def macs(self, channels: tuple[int, int]) -> int:
        """Multiply-accumulates of so many channels."""
        rows, columns = self.out
        return self.n * rows * columns * channels[0] * self.taps


@dataclass(frozen=True)
class SumOfTaps:
    """acc = sum over the taps of element * scale of "inp" times element * scale of "wgt", lane by lane.

    An iteration over h, w and k does a channel group.
    """

    work: Depthwise

    def inside(self, nest: LoopNest) -> tuple[str, ...]:
        """The blocks of a channel group."""
        return ("b",)

    def compute(self, nest: LoopNest, pads: Mapping[str, Any]) -> Any:
        """A pure call on the corners of everything that one lane depends on: window, vectors, filter."""

        def element(n: Any, i: Any, j: Any, k: Any, b: Any, lane: Any) -> Any:
            corners = product(*((0, extent - 1) for extent in self.work.kernel))
            reads = []
            for r, s in corners:
                values = {"n": n, "h": i, "w": j, "k": k, "r": r, "s": s}
                place = [axis.at(values) for axis in nest.operand["inp"].axes[:-1]]
                reads += [pads["inp"][(*place, *rest)] for rest in _corners(pads["inp"].shape[len(place) :])]
            reads += [pads["wgt"][(k, b, *rest)] for rest in _corners(pads["wgt"].shape[2:])]
            return tirx.call_pure_extern("int64", DEPTHWISE, lane, *reads)

        return te.compute((*nest.acc.extents, nest.hardware.output_lanes), element, name="acc")

    def intrinsics(self, nest: LoopNest) -> tuple[str | None, str | None]:
        """None: the expression is a call."""
        return None, None

    def cycles(self, nest: LoopNest, tiles: Count, steps: Count) -> Count:
        """The slower of the places that enter windows and the array's passes, and the pipeline of each tile.

        docs/simulator.md, section 2; as if tiles were so wide that windows seldom begin.
        """
        hardware, work = nest.hardware, self.work
        size, slices = hardware.vector_size, hardware.input_slices
        runs = work.runs(hardware)
        whole, rest = divmod(work.taps // runs, size)
        passes = nest.existing(nest.entries["acc"]) * runs * (whole * slices + -(-rest * slices // size))
        (rows, columns), (down, across) = work.kernel, work.strides
        high = 1 + max(0, hardware.window_taps // columns - rows) // down
        entered = ((high - 1) * min(down, rows) + rows) / high * min(across, columns)
        places = work.n * work.out[0] * work.out[1] * nest.dim["k"].extent * entered
        return np.maximum(passes, places) + tiles * hardware.timing.gemm_pipeline_cycles


def _corners(shape: Any) -> Iterator[tuple[int, ...]]:
    return product(*(sorted({0, int(extent) - 1}) for extent in shape))
