"""DRAM tensors as the copies of a layer see them."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_vsq.codegen.dma import DmaAxis
from tvm_vsq.codegen.nest import Axis
from tvm_vsq.codegen.step import DRAM, Interval


@dataclass(frozen=True)
class Fold:
    """Two axes of a copy, at `position` and the next, that are one in DRAM: groups of `size`, of which the
    last may lack records.

    These take no scratchpad entries, unless the copy `fills` them with zeros.
    """

    position: int
    size: int
    fills: bool = False


@dataclass(frozen=True)
class TensorView:
    """Records of `region` with extents `dims` and `strides` (in records), one per axis of the copy, from its
    record `offset` on.

    Bytes of what is not `constant` order loads and stores. Where `fold` is given, the copy has two axes for
    one here.
    """

    region: str
    record_bytes: int
    dims: tuple[int, ...]
    strides: tuple[int, ...]
    constant: bool = False
    fold: Fold | None = None
    offset: int = 0

    def box(
        self, axes: tuple[Axis, ...], shape: tuple[int, ...], values: list[int], is_load: bool
    ) -> tuple[tuple[DmaAxis, ...], int, Interval | None]:
        """The box of a copy of `shape` entries at some loop values: DMA axes, first record, and between which
        bytes it lies (None: nowhere, or in constants), both counted from the start of the region.

        What lies outside the tensor is zero padding for a load, and left out of a store.
        """
        starts = [axis.base.at(values) for axis in axes]
        sizes = [(extent, axis.step) for extent, axis in zip(shape, axes, strict=True)]
        if self.fold is not None:
            at, size = self.fold.position, self.fold.size
            first = starts[at] * size + starts.pop(at + 1)
            count = sizes[at][0] * sizes.pop(at + 1)[0]
            starts[at], sizes[at] = (
                first,
                (count if self.fold.fills else min(count, self.dims[at] - first), 1),
            )
        offset, last, sram, found = self.offset, self.offset, 1, []
        for (extent, step), start, dim, stride in zip(
            reversed(sizes), reversed(starts), reversed(self.dims), reversed(self.strides), strict=True
        ):
            before = min(extent, max(0, -(start // step)))
            size = max(0, min(extent, -((start - dim) // step)) - before)
            after = extent - before - size
            found.append(
                DmaAxis(size, step * stride, sram, before, after)
                if is_load
                else DmaAxis(size, step * stride, sram)
            )
            first = start + before * step
            offset += first * stride
            last += (first + (size - 1) * step) * stride
            sram *= extent
        if not all(axis.size for axis in found):
            return tuple(reversed(found)), 0, None
        touched = (DRAM, offset * self.record_bytes, (last + 1) * self.record_bytes)
        return tuple(reversed(found)), offset, None if self.constant else touched
