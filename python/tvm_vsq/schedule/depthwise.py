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
from tvm_vsq.schedule.postprocess import result_dims
from tvm_vsq.schedule.windows import Windows

DEPTHWISE = "vsq.dwconv"

_PLACE = 4
"""Axes of the image before the vectors of a channel group: n, rows, columns, groups."""


@dataclass(frozen=True)
class Depthwise(Windows):
    """A filter for each channel."""

    @property
    def body(self) -> SumOfTaps:
        """The sum of all taps at once."""
        return SumOfTaps(self)

    @property
    def kind(self) -> str:
        """Of keys."""
        return "dw"

    @property
    def taps(self) -> int:
        """Of a filter."""
        return self.kernel[0] * self.kernel[1]

    def runs(self, hardware: HardwareConfig) -> int:
        """How often the vectors of a filter begin anew: in each row, unless there are no scales."""
        return 1 if hardware.weight_scale_bits is None else self.kernel[0]

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """Dimensions n, h, w, k, b of the result, and r and s, the kernel, which is whole in every tile."""
        *_, k, b = result_dims(self.n, *self.out, self.kb, hardware)
        runs = self.runs(hardware)
        entries = Axis(runs * -(-(self.taps // runs) // hardware.vector_size))
        axes = (Axis.along(k), Axis.along(b), entries)
        weights = Operand("wgt", "wgt", axes, constant=True, resident=True, title="weights")
        rows, columns = self.kernel
        return self._nest(hardware, (Dim("r", rows, True), Dim("s", columns, True)), (weights,))

    def text(self, channels: tuple[int, int], hardware: HardwareConfig) -> str:
        """The shape for reports, such as "112x112x32 > 112x112x32 3x3 depthwise"."""
        return f"{super().text(channels, hardware)} depthwise"

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
                place = [axis.at(values) for axis in nest.operand["inp"].axes[:_PLACE]]
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
