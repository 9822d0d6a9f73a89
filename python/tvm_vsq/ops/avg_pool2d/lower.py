"""Average pooling as a workload: the vector unit adds up windows, and brings them to one divisor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import lcm
from typing import Any

from tvm_vsq.codegen.lowering import Lowering
from tvm_vsq.codegen.windows import windows_of
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.vector import TOTAL, Unpack
from tvm_vsq.schedule.windows import Windows


@dataclass(frozen=True)
class Averaging(Windows):
    """The sum of each window, times the divisor of the layer over what the window counts.

    counted: how many zeros around the image count as pixels: top, left, bottom, right.
    """

    counted: tuple[int, int, int, int]

    @property
    def body(self) -> Unpack:
        """A sum; its coefficient is a factor of the row times one of the column.

        The least common multiple of all products of two sets is that of the one times that of the other.
        """
        rows, columns = (self._factors(axis, extent) for axis, extent in ((0, self.h), (1, self.w)))
        return Unpack(TOTAL, (rows, columns))

    @property
    def kind(self) -> str:
        """Of keys."""
        return "avg"

    @property
    def key(self) -> str:
        """Stable text for tuning databases."""
        return "{}-ct{}.{}.{}.{}".format(super().key, *self.counted)

    def _factors(self, axis: int, extent: int) -> tuple[int, ...]:
        counts = list(self._counts(axis, extent))
        return tuple(lcm(*counts) // count for count in counts)

    def _counts(self, axis: int, extent: int) -> Iterator[int]:
        """For each row or column of the result, how many of the window's count."""
        low, high = -self.counted[axis], extent + self.counted[axis + 2]
        for result in range(self.out[axis]):
            first = result * self.strides[axis] - self.padding[axis]
            taps = (first + tap * self.dilation[axis] for tap in range(self.kernel[axis]))
            yield sum(low <= tap < high for tap in taps)


def _workload(call: Any, has_residual: bool, hardware: HardwareConfig) -> Averaging:
    top, left, bottom, right = map(int, call.attrs["counted"])
    return Averaging(**windows_of(call, has_residual, hardware), counted=(top, left, bottom, right))


LOWER = Lowering(_workload)
