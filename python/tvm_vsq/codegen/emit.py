"""Expand a Nest into steps in natural sequential order.

Every fill of a scratchpad buffer takes the buffer's next slot. Nothing is reordered for overlap: the engines
run decoupled, and tokens.py makes each of them wait only where it must.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

from tvm_vsq.codegen.ahead import make_rows_ahead
from tvm_vsq.codegen.blocks import Blocks
from tvm_vsq.codegen.dma import DmaAxis, DmaLimits, plan_transfers
from tvm_vsq.codegen.forms import OWN, Form
from tvm_vsq.codegen.hoist import hoist_rows
from tvm_vsq.codegen.nest import Affine, Axis, Buffer, Copy, Loop, Nest, Node
from tvm_vsq.codegen.places import Places
from tvm_vsq.codegen.step import DRAM, Interval, Step
from tvm_vsq.codegen.streamed import Piece, pieces_of
from tvm_vsq.codegen.tensors import BESIDE, TensorView
from tvm_vsq.codegen.uops import UopCache
from tvm_vsq.formats.rows import RowStep
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import LOAD_MEMORIES, STORE_MEMORIES, Insn, layout_of

_PIXEL_AXES, _GROUP_AXIS = slice(1, 3), 3
"""Of a result [n, rows, columns, groups, records of a group]."""


@dataclass(frozen=True)
class PostOp:
    """What the PPU does besides the per-channel parameters, and the signs of the numbers involved.

    rows: what is done with rows before. last_lanes: of the last accumulator entry of a row, those that hold
    numbers. rows_relu: as relu, of what becomes of rows that are made of results. form: of the records of
    results. transposed: vectors run along pixels. unscaled: products have no scales, though the array has.
    beside_relu: as relu, of the numbers that are stored beside vectors.
    """

    relu: bool = False
    res_mult: int = 0
    res_shift: int = 0
    act_unsigned: bool = False
    res_unsigned: bool = False
    out_unsigned: bool = False
    other_unsigned: bool = False
    rows: RowStep | None = None
    last_lanes: int = 0
    rows_relu: bool = False
    form: Form = OWN
    transposed: bool = False
    unscaled: bool = False
    beside_relu: bool = False

    @property
    def requantized(self) -> dict[str, int]:
        """The fields of PPU that say to what results are requantized."""
        fields = {"second": 1} if self.form.second else {}
        if self.form.format is not None:
            fields |= {"out_bits": self.form.format.bits, "out_scale_bits": self.form.format.scale_width}
        return fields if self.form.digits == 1 else {**fields, "digits": self.form.digits - 1}


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
    rows_made: list[int] = field(default_factory=list)
    """How many steps there are when the rows of each tile are made."""

    def __post_init__(self) -> None:
        self.limit = layout_of(self.hardware).limit
        self._streamed: Counter[str] = Counter()
        self._piece: Interval = ("", 0, 0)
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
        if self.post.rows is None:
            return self.steps
        return hoist_rows(make_rows_ahead(self.steps, self.rows_made) if self._rows_ahead() else self.steps)

    def _rows_ahead(self) -> bool:
        """Whether tiles, two of them at a time, follow each other faster where the next rows are made ahead:
        the array then waits for the PPU, and else the vector unit.
        """
        tile = self.nest.tile
        trips = [tile.trips[dim.name] for dim in tile.nest.tiled]
        tiles = prod(tile.trips[dim.name] for dim in tile.nest.tiled if not dim.reduced)
        body = tile.nest.body.cycles(tile.nest, tiles, prod(trips))
        finish = tile.nest.finish.cycles(tile.nest, tiles)
        taken = 2 * tile.nest.existing(tile.nest.entries["acc"])
        in_turn, ahead = max(body, finish), max(body + taken, finish - taken, (body + finish) / 2)
        return bool(ahead < in_turn)

    def digits(self, name: str) -> int:
        """Records of a vector of an operand; 1 where there is no such operand."""
        operand = self.nest.tile.nest.operand.get(name)
        return 1 if operand is None else operand.digits

    def digit_field(self, name: str, field: str = "digits") -> dict[str, int]:
        """The field that says how many records a vector of an operand has; none where it is one."""
        count = self.digits(name)
        return {field: count - 1} if count > 1 else {}

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

    def pieces(self, name: str, count: int) -> Iterator[tuple[int, int]]:
        """(first, number) of blocks of channels whose parameters, those of `name`, are in its buffer: of
        `count` blocks all, or a piece, which is loaded by then.
        """
        slots = self.buffers[name]
        if not slots.buffer.operand.streamed:
            yield 0, count
            return
        group, tile = self.hardware.group_blocks, self._streamed[name]
        self._streamed[name] += 1
        most = self.limit("PPU", "blocks") // group * group
        for piece in pieces_of(count, slots.buffer.entries, most, tile, group):
            start = slots.base + piece.place
            self._piece = (slots.buffer.scratchpad, start, start + piece.count)
            if piece.loaded:
                self._load_parameters(self.views[name], piece)
            yield piece.first, piece.count

    def _load_parameters(self, view: TensorView, piece: Piece) -> None:
        memory, start, _ = self._piece
        for transfer in plan_transfers((DmaAxis(piece.count, 1, 1),), self._dma):
            fields = {**dict(transfer.fields), "mem": LOAD_MEMORIES.index(memory)}
            fields["sram_base"] = start + transfer.sram
            fields["dram_base"] = (view.offset + piece.first + transfer.dram) * view.record_bytes
            load = Insn("LOAD", fields)
            self.steps.append(
                Step(load, self.layer, writes=(self._piece,), region=view.region, constant=True)
            )

    def parameters(self, name: str) -> Interval:
        """The entries of the piece that `pieces` gave last, or of all parameters."""
        slots = self.buffers[name]
        return self._piece if slots.buffer.operand.streamed else slots.interval

    def _copy(self, copy: Copy, values: list[int]) -> None:
        slots, view = self.buffers[copy.buffer], self.views[copy.operand or copy.buffer]
        if copy.is_load:
            self.fill(copy.buffer)
        if not copy.is_load and self.post.transposed:
            self._store_transposed(copy, values)
            return
        self._move(slots, view, copy.axes, values, copy.is_load)

    def store_beside(self, values: list[int]) -> None:
        """Store the accumulators of the current tile, all channels of its pixels, as numbers of 32 bits."""
        slots, whole = self.buffers["acc"], Axis(Affine(0))
        pixels = [Axis(base) for base in self._first[:_GROUP_AXIS]]
        self._move(slots, self.views[BESIDE], (*pixels, whole, whole), values, is_load=False)

    def _move(
        self, slots: Slots, view: TensorView, places: tuple[Axis, ...], values: list[int], is_load: bool
    ) -> None:
        """LOAD or STORE the slot in use."""
        axes, record, touched = view.box(places, slots.shape, values, is_load)
        if is_load:
            slots.box = axes
        name, memories = ("LOAD", LOAD_MEMORIES) if is_load else ("STORE", STORE_MEMORIES)
        memory, start = memories.index(slots.buffer.scratchpad), slots.start
        on_chip, outside = (slots.interval,), () if touched is None else (touched,)
        reads, writes = (outside, on_chip) if is_load else (on_chip, outside)
        for piece in view.pieces(axes, places, values):
            for transfer in plan_transfers(piece.axes, self._dma):
                fields = {**dict(transfer.fields), **piece.fields}
                fields["mem"] = memory
                fields["sram_base"] = start + piece.sram + transfer.sram
                fields["dram_base"] = (record + piece.dram + transfer.dram) * view.record_bytes
                if self.post.form.second and not is_load and slots.buffer.scratchpad == "out":
                    fields["second"] = 1
                step = Step(Insn(name, fields), self.layer, reads, writes, view.region, view.constant)
                self.steps.append(step)

    def _store_transposed(self, copy: Copy, values: list[int]) -> None:
        """Of each image the vectors of its channels, one channel after the other, as the PPU left them."""
        slots, view = self.buffers[copy.buffer], self.views[copy.buffer]
        image, group = (copy.axes[axis].base.at(values) for axis in (0, 1))
        images, groups = slots.shape[:2]
        digits = self.post.form.digits
        blocks = self.blocks(values)
        first = blocks.first * self.hardware.output_lanes
        count = min(blocks.count * self.hardware.output_lanes, view.dims[1] - first)
        strides = view.strides
        axes = (
            DmaAxis(images, strides[0], self.transposed_entries(values)),
            DmaAxis(count, strides[1], groups * digits),
            DmaAxis(groups, strides[2], digits),
            DmaAxis(digits, 1, 1),
        )
        record = view.offset + image * strides[0] + first * strides[1] + group * strides[2]
        last = record + sum([(axis.size - 1) * axis.dram for axis in axes])
        touched: Interval = (DRAM, record * view.record_bytes, (last + 1) * view.record_bytes)
        for transfer in plan_transfers(axes, self._dma):
            fields = {**dict(transfer.fields), "mem": STORE_MEMORIES.index("out")}
            fields["sram_base"] = slots.start + transfer.sram
            fields["dram_base"] = (record + transfer.dram) * view.record_bytes
            if self.post.form.second:
                fields["second"] = 1
            self.steps.append(
                Step(Insn("STORE", fields), self.layer, (slots.interval,), (touched,), view.region)
            )

    def transposed_entries(self, values: list[int]) -> int:
        """Entries of out that one image of the current tile takes, channels that do not exist included."""
        groups = self.buffers["acc"].shape[1]
        return self.blocks(values).count * self.hardware.output_lanes * groups * self.post.form.digits


def _stored_at(nodes: tuple[Node, ...]) -> tuple[Affine, ...]:
    """At which place along each axis the results of a tile begin."""
    (store,) = _stores(nodes)
    return tuple(axis.base for axis in store.axes)


def _stores(nodes: tuple[Node, ...]) -> list[Copy]:
    inside = [_stores(node.body) for node in nodes if isinstance(node, Loop)]
    return sum(inside, [node for node in nodes if isinstance(node, Copy) and not node.is_load])
