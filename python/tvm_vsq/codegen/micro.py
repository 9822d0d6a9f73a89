"""Instructions that run two hardware loops over a list of micro-ops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tvm_vsq.codegen.clip import Box, boxes_inside
from tvm_vsq.codegen.microops import MEMORIES, MicroLoop, fold_loops
from tvm_vsq.codegen.nest import Pointer
from tvm_vsq.codegen.step import Interval, Step
from tvm_vsq.isa import Insn

if TYPE_CHECKING:
    from tvm_vsq.codegen.emit import LayerEmitter


@dataclass(frozen=True)
class MicroOps:
    """Micro-ops in loops over `dims`: `pointers` are their operands, first the accumulators that are
    written.
    """

    dims: tuple[str, ...]
    pointers: tuple[Pointer, ...]

    def emit_as(
        self,
        instruction: str,
        fields: dict[str, int],
        emitter: LayerEmitter,
        values: list[int],
        clipped: int | None = None,
        overwrite: bool = False,
        skips: str = "",
        only: Box | None = None,
        also: tuple[Interval, ...] = (),
    ) -> None:
        """Append the instructions, each with these `fields` besides those of its loops and micro-ops.

        clipped: number of a pointer to pixels; micro-ops for which it points to their border are left out.
        overwrite: the first visit of an accumulator begins its reduction. skips: the field that says how many
        blocks of their channel group micro-ops leave out, where one is for all of them. only: some of the
        iterations. also: what else is read.
        """
        slots = [emitter.buffers[pointer.buffer] for pointer in self.pointers]
        places = [_place(number, each.buffer.scratchpad) for number, each in enumerate(slots)]
        extents = tuple(emitter.sizes[dim] for dim in self.dims)
        found = [p.entries(each.shape, values) for p, each in zip(self.pointers, slots, strict=True)]
        bases, columns = [0] * len(MEMORIES), [(0,) * len(extents)] * len(MEMORIES)
        for place, (start, strides), each in zip(places, found, slots, strict=True):
            bases[place], columns[place] = each.start + start, strides
        boxes = [only or Box.whole(extents)]
        if clipped is not None:
            (start, strides), each = found[clipped], slots[clipped]
            (whole,) = boxes
            inside = boxes_inside(whole.extents, strides, start + whole.offset(strides), each.shape, each.box)
            boxes = [box.moved(whole.first) for box in inside]
        written, *read = [each.interval for each in slots]
        limits = emitter.limit(instruction, "iter_out"), emitter.uops.longest(instruction)
        blocks = emitter.blocks(values)
        columns[places[0]] = blocks.strides(columns[places[0]])
        steps = tuple(zip(*columns, strict=True))
        for box, missing in [piece for whole in boxes for piece in blocks.pieces(whole, self.dims)]:
            origin = [base + box.offset(column) for base, column in zip(bases, columns, strict=True)]
            for program in fold_loops(tuple(map(MicroLoop, box.extents, steps)), *limits):
                offsets = program.offsets + origin
                begin, loads = emitter.uops.fetch(offsets, emitter.layer)
                emitter.steps += loads
                filled = {
                    **fields,
                    **({skips: missing} if missing and skips else {}),
                    "uop_begin": begin,
                    "uop_count": len(offsets),
                    "iter_out": program.outer.extent,
                    "iter_in": program.inner.extent,
                }
                if overwrite and program.fresh:
                    filled["fresh_uops"] = program.fresh
                    filled["out_reduces"] = int(program.outer.reduces)
                    filled["in_reduces"] = int(program.inner.reduces)
                for place in places:
                    filled[f"{MEMORIES[place]}_out"] = program.outer.step[place]
                    filled[f"{MEMORIES[place]}_in"] = program.inner.step[place]
                uops: Interval = ("uop", begin, begin + len(offsets))
                step = Step(Insn(instruction, filled), emitter.layer, (uops, *read, *also), (written,))
                emitter.steps.append(step)


def _place(number: int, scratchpad: str) -> int:
    """Which index of a micro-op a pointer takes; accumulators that are read take that of inputs."""
    return MEMORIES.index("inp" if number and scratchpad == "acc" else scratchpad)
