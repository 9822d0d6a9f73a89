"""DRAM tensors as the copies of a layer see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from tvm_vsq.codegen.dma import DmaAxis
from tvm_vsq.codegen.nest import Axis
from tvm_vsq.codegen.step import DRAM, Interval

BESIDE = "beside"
"""The view of what accumulators hold when their results are stored, if that is stored as well."""


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
class Gather:
    """Entries that hold `lanes` columns each, of `columns`, which lie `stride` records apart; columns are in
    blocks along the axis at `position` of what is copied.
    """

    position: int
    lanes: int
    columns: int
    stride: int


@dataclass(frozen=True)
class Piece:
    """A part of a copy: its axes, where it begins in the scratchpad and in the tensor, and fields that only
    it has.
    """

    axes: tuple[DmaAxis, ...]
    sram: int = 0
    dram: int = 0
    fields: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TensorView:
    """Records of `region` with extents `dims` and `strides` (in records), one per axis of the copy, from its
    record `offset` on.

    Bytes of what is not `constant` order loads and stores. Where `fold` is given, the copy has two axes for
    one here. digits: records of a vector.
    """

    region: str
    record_bytes: int
    dims: tuple[int, ...]
    strides: tuple[int, ...]
    constant: bool = False
    fold: Fold | None = None
    offset: int = 0
    gather: Gather | None = None
    digits: int = 1

    @property
    def vectors(self) -> int:
        """Of a pixel; each has a record for every digit, along the last axis if there are several."""
        return self.dims[-1] if self.digits == 1 else self.dims[-2]

    def pieces(
        self, axes: tuple[DmaAxis, ...], places: tuple[Axis, ...], values: list[int]
    ) -> Iterator[Piece]:
        """The copy of a `box` in pieces that one kind of transfer does: a last block of columns may lack
        some.
        """
        if self.gather is None:
            yield Piece(axes)
            return
        gather, at = self.gather, self.gather.position
        first, blocks = self._block(places, values), axes[at]
        gathered = {"gather": 1, "lane_stride": gather.stride}
        left = gather.columns - (first + blocks.size - 1) * gather.lanes
        whole = blocks.size - (left < gather.lanes)
        for begin, count, lanes in ((0, whole, gather.lanes), (whole, blocks.size - whole, left)):
            if count:
                part = (*axes[:at], replace(blocks, size=count), *axes[at + 1 :])
                yield Piece(part, begin * blocks.sram, begin * blocks.dram, {**gathered, "lanes": lanes})

    def _block(self, places: tuple[Axis, ...], values: list[int]) -> int:
        """The first block of columns of a copy."""
        if self.fold is None or self.gather is None:
            return 0
        group, block = (places[self.gather.position + i].base.at(values) for i in (0, 1))
        return group * self.fold.size + block

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
                if is_load and self.gather is None  # blocks that do not exist are not read
                else DmaAxis(size, step * stride, sram)
            )
            first = start + before * step
            offset += first * stride
            last += (first + (size - 1) * step) * stride
            sram *= extent
        if not all(axis.size for axis in found):
            return tuple(reversed(found)), 0, None
        if self.gather is not None:
            blocks = found[::-1][self.gather.position].size
            end = (self._block(axes, values) + blocks) * self.gather.lanes
            last += (self.gather.lanes - 1 - max(0, end - self.gather.columns)) * self.gather.stride
        touched = (DRAM, offset * self.record_bytes, (last + 1) * self.record_bytes)
        return tuple(reversed(found)), offset, None if self.constant else touched
