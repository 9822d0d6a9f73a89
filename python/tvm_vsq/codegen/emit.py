"""Expand a Nest into steps in natural sequential order.

Every fill of a scratchpad buffer takes the buffer's next slot. Nothing is reordered for overlap: the engines
run decoupled, and tokens.py makes each of them wait only where it must.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tvm_vsq.codegen.blocks import Blocks
from tvm_vsq.codegen.dma import DmaAxis, DmaLimits, plan_transfers
from tvm_vsq.codegen.nest import Affine, Buffer, Copy, Loop, Nest, Node
from tvm_vsq.codegen.places import Places
from tvm_vsq.codegen.step import Interval, Step
from tvm_vsq.codegen.tensors import TensorView
from tvm_vsq.codegen.uops import UopCache
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import LOAD_MEMORIES, STORE_MEMORIES, Insn, layout_of

_PIXEL_AXES, _GROUP_AXIS = slice(1, 3), 3
"""Of a result [n, rows, columns, groups, records of a group]."""


@dataclass(frozen=True)
class PostOp:
    """What the PPU does besides the per-channel parameters, and the signs of the numbers involved."""

    relu: bool = False
    res_mult: int = 0
    res_shift: int = 0
    act_unsigned: bool = False
    res_unsigned: bool = False
    out_unsigned: bool = False
    other_unsigned: bool = False


@dataclass
class Slots:
    """A scratchpad buffer in `count` slots from entry `base`; `current` is the slot in use.

    It holds entries of `shape`, and is `fresh` until something is written to it. `box` is what it was loaded
    with: along each axis, how much of it is border.
    """

    buffer: Buffer
    base: int
    count: int
    current: int = -1
    fresh: bool = False
    shape: tuple[int, ...] = ()
    box: tuple[DmaAxis, ...] = ()

    def fill(self, shape: tuple[int, ...]) -> None:
        """Go on to the next slot."""
        self.current = (self.current + 1) % self.count
        self.shape, self.fresh = shape, True

    @property
    def start(self) -> int:
        """First entry of the slot in use."""
        return self.base + self.current * self.buffer.entries

    @property
    def interval(self) -> Interval:
        """All entries of the slot in use."""
        return (self.buffer.scratchpad, self.start, self.start + self.buffer.entries)


@dataclass
class LayerEmitter:
    """Emits one layer. `slots` are the copies of each buffer of the nest, `views` what it is copied from or
    to.
    """

    nest: Nest
    slots: dict[str, int]
    views: dict[str, TensorView]
    post: PostOp
    layer: int
    hardware: HardwareConfig
    uops: UopCache
    places: Places
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limit = layout_of(self.hardware).limit
        fields = ("z_size", "y_pad_top", "x_stride", "y_stride")
        self._dma = DmaLimits(*(self.limit("LOAD", name) for name in fields))
        self.buffers: dict[str, Slots] = {}
        self.used: Counter[str] = Counter()
        self.sizes = dict(self.nest.tile.nest.extents)
        """Iterations of each dimension inside the loops around the current place."""
        for buffer in self.nest.buffers:
            self.used[buffer.scratchpad] += buffer.entries * self.slots[buffer.name]
        ends = {scratchpad: self.places.take(scratchpad, size) for scratchpad, size in self.used.items()}
        self._first = _stored_at(self.nest.body)
        for buffer in self.nest.buffers:
            count, base = self.slots[buffer.name], ends[buffer.scratchpad]
            ends[buffer.scratchpad] += buffer.entries * count
            self.buffers[buffer.name] = Slots(buffer, base, count)

    def run(self) -> list[Step]:
        """All steps of the layer."""
        self._walk(self.nest.body, [0] * self.nest.loops)
        return self.steps

    def blocks(self, values: list[int]) -> Blocks:
        """Blocks of the accumulators of the current tile, at these values of the loops."""
        groups, per_group = self.buffers["acc"].shape[-2:]
        first = self._first[_GROUP_AXIS].at(values) * per_group
        return Blocks(groups, per_group, first, min(groups * per_group, self.nest.tile.nest.blocks - first))

    def pixel(self, values: list[int]) -> tuple[int, int]:
        """Row and column of the result at which the current tile begins, at these values of the loops."""
        row, column = (axis.at(values) for axis in self._first[_PIXEL_AXES])
        return row, column

    def _walk(self, nodes: tuple[Node, ...], values: list[int]) -> None:
        for node in nodes:
            if isinstance(node, Loop):
                whole, size = self.sizes[node.dim], self.nest.tile.sizes[node.dim]
                for value in range(node.extent):
                    values[node.number] = value
                    self.sizes[node.dim] = min(size, whole - value * size)
                    self._walk(node.body, values)
                self.sizes[node.dim] = whole
            elif isinstance(node, Copy):
                self._copy(node, values)
            else:
                node.emit(self, values)

    def fill(self, name: str) -> None:
        """Go on to the next slot of a buffer, for what the current tile uses of it."""
        slots = self.buffers[name]
        slots.fill(slots.buffer.used(self.sizes))

    def _copy(self, copy: Copy, values: list[int]) -> None:
        slots, view = self.buffers[copy.buffer], self.views[copy.buffer]
        if copy.is_load:
            self.fill(copy.buffer)
        axes, record, touched = view.box(copy.axes, slots.shape, values, copy.is_load)
        if copy.is_load:
            slots.box = axes
        name, memories = ("LOAD", LOAD_MEMORIES) if copy.is_load else ("STORE", STORE_MEMORIES)
        memory, start = memories.index(slots.buffer.scratchpad), slots.start
        on_chip, outside = (slots.interval,), () if touched is None else (touched,)
        reads, writes = (outside, on_chip) if copy.is_load else (on_chip, outside)
        for transfer in plan_transfers(axes, self._dma):
            fields = dict(transfer.fields)
            fields["mem"] = memory
            fields["sram_base"] = start + transfer.sram
            fields["dram_base"] = (record + transfer.dram) * view.record_bytes
            step = Step(Insn(name, fields), self.layer, reads, writes, view.region, view.constant)
            self.steps.append(step)


def _stored_at(nodes: tuple[Node, ...]) -> tuple[Affine, ...]:
    """At which place along each axis the results of a tile begin."""
    (store,) = _stores(nodes)
    return tuple(axis.base for axis in store.axes)


def _stores(nodes: tuple[Node, ...]) -> list[Copy]:
    inside = [_stores(node.body) for node in nodes if isinstance(node, Loop)]
    return sum(inside, [node for node in nodes if isinstance(node, Copy) and not node.is_load])
