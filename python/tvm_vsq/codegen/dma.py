"""Cut a strided copy into the 2-D transfers that LOAD and STORE can express."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod


@dataclass(frozen=True)
class DmaAxis:
    """`size` steps that exist in DRAM, between `before` and `after` steps of zeros; strides are in
    entries.
    """

    size: int
    dram: int
    sram: int
    before: int = 0
    after: int = 0

    @property
    def extent(self) -> int:
        """Scratchpad steps."""
        return self.before + self.size + self.after

    @property
    def padded(self) -> bool:
        """Whether zeros are part of it."""
        return bool(self.before or self.after)


@dataclass(frozen=True)
class DmaLimits:
    """Largest values of the fields x_size, y_size, z_size, the pads, x_stride and y_stride."""

    size: int
    pad: int
    x_stride: int
    y_stride: int


@dataclass(frozen=True)
class Transfer:
    """One instruction: offsets of its bases in entries, and the fields that are not 0."""

    sram: int
    dram: int
    fields: tuple[tuple[str, int], ...]


@lru_cache(maxsize=4096)
def plan_transfers(axes: tuple[DmaAxis, ...], limits: DmaLimits) -> tuple[Transfer, ...]:
    """Transfers of the box `axes` (outermost first), in scratchpad order; any size, stride and padding is
    legal.
    """
    return tuple(_plan(_normalize(axes, limits), limits, 0, 0))


def _normalize(axes: tuple[DmaAxis, ...], limits: DmaLimits) -> list[DmaAxis]:
    """Drop unit axes, join axes that are contiguous on both sides, and end in an axis of DRAM stride 1."""
    joined: list[DmaAxis] = []
    for axis in reversed([axis for axis in axes if axis.extent != 1 or axis.padded]):
        inner = joined[0] if joined else None
        if (
            inner is not None
            and not inner.padded
            and not axis.padded
            and (axis.dram, axis.sram) == (inner.size * inner.dram, inner.size * inner.sram)
            and axis.size * inner.size <= limits.size
        ):
            joined[0] = replace(inner, size=axis.size * inner.size)
        else:
            joined.insert(0, axis)
    if not joined or joined[-1].padded or (joined[-1].dram, joined[-1].sram) != (1, 1):
        joined.append(DmaAxis(1, 1, 1))
    return joined


def _plan(axes: list[DmaAxis], limits: DmaLimits, sram: int, dram: int) -> Iterator[Transfer]:
    if not all(axis.size for axis in axes):
        yield from _zeros(sram, prod(axis.extent for axis in axes), limits)
    elif _expressible(axes, limits):
        yield Transfer(sram, dram, _fields(axes))
    elif _expressible(
        [replace(axes[0], size=min(axes[0].size, limits.size), before=0, after=0), *axes[1:]], limits
    ):
        yield from _chunks(axes, limits, sram, dram)
    else:
        yield from _rows(axes, limits, sram, dram)


def _rows(axes: list[DmaAxis], limits: DmaLimits, sram: int, dram: int) -> Iterator[Transfer]:
    """One step of the outermost axis at a time."""
    outer, rest = axes[0], axes[1:]
    yield from _zeros(sram, outer.before * outer.sram, limits)
    start = sram + outer.before * outer.sram
    for i in range(outer.size):
        yield from _plan(rest, limits, start + i * outer.sram, dram + i * outer.dram)
    yield from _zeros(start + outer.size * outer.sram, outer.after * outer.sram, limits)


def _chunks(axes: list[DmaAxis], limits: DmaLimits, sram: int, dram: int) -> Iterator[Transfer]:
    """As many steps of the outermost axis at a time as the fields allow; border that does not fit is cleared
    apart.
    """
    outer, rest = axes[0], axes[1:]
    before, after = min(outer.before, limits.pad), min(outer.after, limits.pad)
    yield from _zeros(sram, (outer.before - before) * outer.sram, limits)
    sram += (outer.before - before) * outer.sram
    for start in range(0, outer.size, limits.size):
        size = min(limits.size, outer.size - start)
        first, last = start == 0, start + size == outer.size
        piece = replace(outer, size=size, before=before if first else 0, after=after if last else 0)
        yield Transfer(sram, dram + start * outer.dram, _fields([piece, *rest]))
        sram += piece.extent * outer.sram
    yield from _zeros(sram, (outer.after - after) * outer.sram, limits)


def _zeros(sram: int, count: int, limits: DmaLimits) -> Iterator[Transfer]:
    """Clear `count` entries with transfers that read nothing."""
    while count:
        z = min(count, limits.size)
        groups = min(count // z, limits.pad)
        fields = {"z_size": z, "y_size": 1, "x_pad_left": groups}
        yield Transfer(sram, 0, tuple(fields.items()))
        sram, count = sram + z * groups, count - z * groups


def _expressible(axes: list[DmaAxis], limits: DmaLimits) -> bool:
    packed = 1
    for position, axis in enumerate(reversed(axes)):
        stride_limit = (1, limits.x_stride, limits.y_stride, 0)[min(position, 3)]
        if axis.size > limits.size or max(axis.before, axis.after) > limits.pad:
            return False
        if position == 3 or (axis.size > 1 and axis.dram > stride_limit):
            return False
        if axis.extent > 1 and axis.sram != packed:
            return False
        packed *= axis.extent
    return True


def _fields(axes: list[DmaAxis]) -> tuple[tuple[str, int], ...]:
    unit = DmaAxis(1, 0, 0)
    y, x, z = [unit] * (3 - len(axes)) + axes
    fields = {
        "z_size": z.size,
        "x_size": x.size,
        "y_size": y.size,
        "x_stride": x.dram if x.size > 1 else 0,
        "y_stride": y.dram if y.size > 1 else 0,
        "y_pad_top": y.before,
        "y_pad_bottom": y.after,
        "x_pad_left": x.before,
        "x_pad_right": x.after,
    }
    return tuple((name, value) for name, value in fields.items() if value)
