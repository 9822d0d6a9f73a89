"""Expand a Nest into steps in natural sequential order.

Every fill of a scratchpad buffer takes the buffer's next slot. Nothing is reordered for overlap: the engines
run decoupled, and tokens.py makes each of them wait only where it must.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tvm_vsq.codegen.dma import DmaLimits, plan_transfers
from tvm_vsq.codegen.microops import MicroLoop, fold_loops
from tvm_vsq.codegen.nest import Copy, Gemm, Loop, Nest, Node, Operand, Ppu
from tvm_vsq.codegen.step import Interval, Step
from tvm_vsq.codegen.tensors import TensorView
from tvm_vsq.codegen.uops import UopCache
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import LOAD_MEMORIES, STORE_MEMORIES, Insn, layout_of


@dataclass(frozen=True)
class PostOp:
    """What the PPU does besides the per-channel parameters, and the signs of the numbers involved."""

    relu: bool = False
    res_mult: int = 0
    res_shift: int = 0
    act_unsigned: bool = False
    res_unsigned: bool = False
    out_unsigned: bool = False


@dataclass
class _Slots:
    """A scratchpad buffer of `count` slots of `entries`, from `base`; `current` is the slot in use."""

    scratchpad: str
    base: int
    entries: int
    count: int
    current: int = -1

    def fill(self) -> None:
        self.current = (self.current + 1) % self.count

    @property
    def start(self) -> int:
        return self.base + self.current * self.entries

    @property
    def interval(self) -> Interval:
        return (self.scratchpad, self.start, self.start + self.entries)


@dataclass
class LayerEmitter:
    """Emits one layer. `slots` are the copies of each buffer of the nest, `views` its DRAM tensors X, W, P,
    R, Y.

    `from_top` places the buffers at the end of the scratchpads instead of the start, so that the loads of
    two consecutive layers do not wait for each other more than they must.
    """

    nest: Nest
    slots: dict[str, int]
    views: dict[str, TensorView]
    post: PostOp
    layer: int
    hardware: HardwareConfig
    uops: UopCache
    from_top: bool = False
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        limit = layout_of(self.hardware).limit
        fields = ("z_size", "y_pad_top", "x_stride", "y_stride")
        self._dma = DmaLimits(*(limit("LOAD", name) for name in fields))
        self._iterations = limit("GEMM", "iter_out")
        self._pixels = limit("PPU", "pixels")
        self._buffers: dict[str, _Slots] = {}
        used: dict[str, int] = {}
        for buffer in self.nest.buffers:
            size = buffer.entries * self.slots[buffer.name]
            start = used.get(buffer.scratchpad, 0)
            used[buffer.scratchpad] = start + size
            base = self.hardware.depths[buffer.scratchpad] - start - size if self.from_top else start
            self._buffers[buffer.name] = _Slots(
                buffer.scratchpad, base, buffer.entries, self.slots[buffer.name]
            )
        self.used = used

    def run(self) -> list[Step]:
        """All steps of the layer."""
        self._walk(self.nest.body, [0] * self.nest.loops)
        return self.steps

    def _walk(self, nodes: tuple[Node, ...], values: list[int]) -> None:
        for node in nodes:
            if isinstance(node, Loop):
                for value in range(node.extent):
                    values[node.number] = value
                    self._walk(node.body, values)
            elif isinstance(node, Copy):
                self._copy(node, values)
            elif isinstance(node, Gemm):
                self._gemm(node, values)
            else:
                self._ppu(node, values)

    def _copy(self, copy: Copy, values: list[int]) -> None:
        buffer, view = self._buffers[copy.buffer], self.views[copy.tensor]
        if copy.is_load:
            buffer.fill()
        axes, record, pixels = view.box(copy.axes, values, copy.is_load)
        name, memories = ("LOAD", LOAD_MEMORIES) if copy.is_load else ("STORE", STORE_MEMORIES)
        memory, start, interval = memories.index(buffer.scratchpad), buffer.start, (buffer.interval,)
        for transfer in plan_transfers(axes, self._dma):
            fields = dict(transfer.fields)
            fields["mem"] = memory
            fields["sram_base"] = start + transfer.sram
            fields["dram_base"] = (record + transfer.dram) * view.record_bytes
            insn = Insn(name, fields)
            if copy.is_load:
                step = Step(insn, "load", self.layer, writes=interval, region=view.region, dram_read=pixels)
            else:
                step = Step(insn, "store", self.layer, reads=interval, region=view.region, dram_write=pixels)
            self.steps.append(step)

    def _gemm(self, gemm: Gemm, values: list[int]) -> None:
        acc = self._buffers[gemm.acc.buffer]
        if gemm.inp is None:
            acc.fill()
        operands = (gemm.acc, gemm.inp, gemm.wgt)
        bases = [self._start(operand, values) if operand else 0 for operand in operands]
        reads = tuple(self._buffers[operand.buffer].interval for operand in operands[1:] if operand)
        still = (0,) * len(gemm.extents)
        steps = zip(*(operand.strides if operand else still for operand in operands), strict=True)
        loops = tuple(map(MicroLoop, gemm.extents, steps))
        for program in fold_loops(loops, self._iterations, self.uops.longest):
            offsets = program.offsets + bases
            begin, loads = self.uops.fetch(offsets, self.layer)
            self.steps += loads
            fields = {
                "reset": int(gemm.inp is None),
                "act_unsigned": int(self.post.act_unsigned and gemm.inp is not None),
                "uop_begin": begin,
                "uop_count": len(offsets),
                "iter_out": program.outer.extent,
                "iter_in": program.inner.extent,
            }
            for i, pad in enumerate(("acc", "inp", "wgt")):
                fields[f"{pad}_out"], fields[f"{pad}_in"] = program.outer.step[i], program.inner.step[i]
            uops: Interval = ("uop", begin, begin + len(offsets))
            self.steps.append(
                Step(
                    Insn("GEMM", fields), "compute", self.layer, reads=(uops, *reads), writes=(acc.interval,)
                )
            )

    def _start(self, operand: Operand, values: list[int]) -> int:
        return self._buffers[operand.buffer].start + operand.base.at(values)

    def _ppu(self, ppu: Ppu, values: list[int]) -> None:
        acc, par = self._buffers[ppu.acc], self._buffers[ppu.par]
        out = self._buffers[ppu.out] if ppu.out is not None else None
        res = self._buffers[ppu.res] if ppu.res is not None else None
        if out is not None:
            out.fill()
        vectors = ppu.blocks * self.hardware.output_lanes // self.hardware.vector_size
        for pixel in range(0, ppu.pixels, self._pixels):
            fields = {
                "wide": int(out is None),
                "relu": int(self.post.relu),
                "residual": int(res is not None),
                "out_unsigned": int(self.post.out_unsigned and out is not None),
                "acc_base": acc.start + pixel * ppu.blocks,
                "par_base": par.start + ppu.par_base.at(values),
                "pixels": min(self._pixels, ppu.pixels - pixel),
                "blocks": ppu.blocks,
            }
            reads, writes = [acc.interval, par.interval], [acc.interval]
            if out is not None:
                fields["out_base"] = out.start + pixel * vectors
                writes = [out.interval]
            if res is not None:
                fields |= {
                    "res_base": res.start + pixel * vectors,
                    "res_unsigned": int(self.post.res_unsigned),
                    "res_mult": self.post.res_mult,
                    "res_shift": self.post.res_shift,
                }
                reads.append(res.interval)
            self.steps.append(
                Step(Insn("PPU", fields), "compute", self.layer, reads=tuple(reads), writes=tuple(writes))
            )
