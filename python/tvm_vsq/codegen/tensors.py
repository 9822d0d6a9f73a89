"""DRAM tensors as the copies of a layer see them."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_vsq.codegen.dma import DmaAxis
from tvm_vsq.codegen.nest import Axis
from tvm_vsq.codegen.step import Interval


@dataclass(frozen=True)
class TensorView:
    """Records of `region` with extents `dims` and `strides` (in records), one per axis of the copy.

    `grid` is (rows, columns) of an activation tensor [n, rows, columns, vectors], whose pixels order loads
    behind stores; None for constants. Where `fold` is given, the copy has two axes for the last
    one here: groups of `fold` records, and the record in its group.
    """

    region: str
    record_bytes: int
    dims: tuple[int, ...]
    strides: tuple[int, ...]
    grid: tuple[int, int] | None = None
    fold: int = 0

    def box(
        self, axes: tuple[Axis, ...], values: list[int], is_load: bool
    ) -> tuple[tuple[DmaAxis, ...], int, Interval | None]:
        """The box of a copy at loop values `values`: DMA axes, first record, and the pixels that it touches.

        What lies outside the tensor is zero padding for a load, and left out of a store.
        """
        axes = self._folded(axes)
        starts = [axis.base.at(values) for axis in axes]
        offset, sram, found = 0, 1, []
        inside: list[tuple[int, int]] = []
        for axis, start, dim, stride in zip(
            reversed(axes), reversed(starts), reversed(self.dims), reversed(self.strides), strict=True
        ):
            before = min(axis.extent, max(0, -(start // axis.step)))
            size = max(0, min(axis.extent, -((start - dim) // axis.step)) - before)
            after = axis.extent - before - size
            found.append(
                DmaAxis(size, axis.step * stride, sram, before, after)
                if is_load
                else DmaAxis(size, axis.step * stride, sram)
            )
            first = start + before * axis.step
            offset += first * stride
            sram *= axis.extent
            inside.append((first, first + (size - 1) * axis.step))
        touched = None
        if self.grid is not None and all(axis.size for axis in found):
            (n0, n1), (y0, y1), (x0, x1) = inside[:0:-1]
            rows, columns = self.grid
            touched = (self.region, (n0 * rows + y0) * columns + x0, (n1 * rows + y1) * columns + x1 + 1)
        return tuple(reversed(found)), offset if all(axis.size for axis in found) else 0, touched

    def _folded(self, axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
        if not self.fold:
            return axes
        outer, inner = axes[-2:]
        base = outer.base.times(self.fold).plus(inner.base)
        return (*axes[:-2], Axis(outer.extent * inner.extent, base))
