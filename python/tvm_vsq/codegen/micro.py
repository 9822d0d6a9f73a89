"""Instructions that run two hardware loops over a list of micro-ops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tvm_vsq.codegen.microops import MEMORIES, MicroLoop, fold_loops
from tvm_vsq.codegen.nest import Pointer
from tvm_vsq.codegen.step import Interval, Step
from tvm_vsq.isa import Insn

if TYPE_CHECKING:
    from tvm_vsq.codegen.emit import LayerEmitter


@dataclass(frozen=True)
class MicroOps:
    """A loop nest of micro-ops: `pointers` are their operands, that which is written first."""

    extents: tuple[int, ...]
    pointers: tuple[Pointer, ...]

    def emit_as(
        self, instruction: str, fields: dict[str, int], emitter: LayerEmitter, values: list[int]
    ) -> None:
        """Append the instructions, each with these `fields` besides those of its loops and micro-ops."""
        buffers = [emitter.buffers[pointer.buffer] for pointer in self.pointers]
        memories = [buffer.scratchpad for buffer in buffers]
        steps, bases = [[0] * len(self.extents) for _ in MEMORIES], [0] * len(MEMORIES)
        for pointer, buffer in zip(self.pointers, buffers, strict=True):
            place = MEMORIES.index(buffer.scratchpad)
            steps[place] = list(pointer.strides)
            bases[place] = buffer.start + pointer.base.at(values)
        loops = tuple(map(MicroLoop, self.extents, zip(*steps, strict=True)))
        longest = emitter.uops.longest(instruction)
        for program in fold_loops(loops, emitter.limit(instruction, "iter_out"), longest):
            offsets = program.offsets + bases
            begin, loads = emitter.uops.fetch(offsets, emitter.layer)
            emitter.steps += loads
            found = {
                **fields,
                "uop_begin": begin,
                "uop_count": len(offsets),
                "iter_out": program.outer.extent,
                "iter_in": program.inner.extent,
            }
            for place, memory in enumerate(MEMORIES):
                if memory in memories:
                    found[f"{memory}_out"] = program.outer.step[place]
                    found[f"{memory}_in"] = program.inner.step[place]
            uops: Interval = ("uop", begin, begin + len(offsets))
            written, *read = [buffer.interval for buffer in buffers]
            emitter.steps.append(
                Step(Insn(instruction, found), "compute", emitter.layer, (uops, *read), (written,))
            )
