"""DWCONV: whole windows, from column to column and from row to row of a tile."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from tvm_vsq.codegen.clip import Box
from tvm_vsq.codegen.leaf import ExternCall
from tvm_vsq.codegen.microops import MEMORIES
from tvm_vsq.codegen.nest import Affine, Pointer
from tvm_vsq.codegen.step import Interval, Step
from tvm_vsq.isa import Insn
from tvm_vsq.schedule.access import Operand

if TYPE_CHECKING:
    from tvm_vsq.codegen.emit import LayerEmitter

_DIMS = ("n", "h", "w", "k")
_TAPS = ("r", "s")


@dataclass(frozen=True)
class Windows:
    """All windows of a tile. Pointers move along _DIMS, and that to inputs along _TAPS besides."""

    acc: Pointer
    inp: Pointer
    wgt: Pointer

    def emit(self, emitter: LayerEmitter, values: list[int]) -> None:
        """The hardware loops are over rows and columns: so a window keeps what its neighbour has read."""
        emitter.fill(self.acc.buffer)
        hardware, of_filter = emitter.hardware, self._filter_vectors(emitter)
        for x, w in product(range(emitter.digits("inp")), range(emitter.digits("wgt"))):
            fields = {
                "act_unsigned": int(emitter.post.act_unsigned or x < emitter.digits("inp") - 1),
                "wgt_unsigned": int(w < emitter.digits("wgt") - 1),
                "shift": x * hardware.activation_bits + w * hardware.weight_bits,
                "accumulate": int(x + w > 0),
            }
            fields = {name: value for name, value in fields.items() if value or name == "act_unsigned"}
            self._pass(emitter, values, fields, {"acc": 0, "inp": x, "wgt": w * of_filter})

    def _filter_vectors(self, emitter: LayerEmitter) -> int:
        """Entries of a block's filters, of each digit."""
        return emitter.nest.tile.nest.operand["wgt"].axes[-1].extent

    def _pass(
        self, emitter: LayerEmitter, values: list[int], passed: dict[str, int], first: dict[str, int]
    ) -> None:
        """A pass over one digit of each side, whose entries begin so far behind those of the lowest."""
        pointers = {"acc": self.acc, "inp": self.inp, "wgt": self.wgt}
        slots = {name: emitter.buffers[pointer.buffer] for name, pointer in pointers.items()}
        bases, strides = {}, {}
        for name, pointer in pointers.items():
            start, strides[name] = pointer.entries(slots[name].shape, values)
            bases[name] = slots[name].start + start + first[name]
        blocks = emitter.blocks(values)
        strides["acc"] = blocks.strides(strides["acc"])
        row_step, column_step = strides["inp"][len(_DIMS) :]
        taps = [emitter.sizes[dim] for dim in _TAPS]
        fields = {
            **passed,
            "row_vectors": int(emitter.hardware.weight_scale_bits is not None),
            "tap_rows": taps[0],
            "tap_columns": taps[1],
            "row_step": row_step if taps[0] > 1 else 0,
            "column_step": column_step if taps[1] > 1 else 0,
        }
        extents = tuple(emitter.sizes[dim] for dim in _DIMS)
        most = emitter.limit("DWCONV", "iter_out")
        reads = (slots["inp"].interval, slots["wgt"].interval)
        for box, missing in blocks.pieces(Box.whole(extents), _DIMS):
            for rows, columns in product(*(_ranges(box, axis, most) for axis in (1, 2))):
                corner = (box.first[0], rows[0], columns[0], box.first[3])
                offsets = np.array(
                    [
                        [
                            bases[name]
                            + sum(
                                (at + move) * stride
                                for at, move, stride in zip(
                                    corner, (n, 0, 0, k), strides[name][: len(_DIMS)], strict=True
                                )
                            )
                            for name in MEMORIES
                        ]
                        for n in range(box.extents[0])
                        for k in range(box.extents[3])
                    ],
                    np.int64,
                )
                longest = emitter.uops.longest("DWCONV")
                for begin in range(0, len(offsets), longest):
                    part = offsets[begin : begin + longest]
                    entry, loads = emitter.uops.fetch(part, emitter.layer)
                    emitter.steps += loads
                    filled = {
                        **fields,
                        "skip_blocks": missing,
                        "uop_begin": entry,
                        "uop_count": len(part),
                        "iter_out": rows[1],
                        "iter_in": columns[1],
                    }
                    for name in ("acc", "inp"):
                        filled |= {f"{name}_out": strides[name][1], f"{name}_in": strides[name][2]}
                    uops: Interval = ("uop", entry, entry + len(part))
                    written = (slots["acc"].interval,)
                    emitter.steps.append(Step(Insn("DWCONV", filled), emitter.layer, (uops, *reads), written))


def _ranges(box: Box, axis: int, most: int) -> list[tuple[int, int]]:
    """(first, extent) of the pieces of an axis that a hardware loop can count."""
    first, extent = box.first[axis], box.extents[axis]
    return [(first + at, min(most, extent - at)) for at in range(0, extent, most)]


def read_windows(call: ExternCall) -> Windows:
    """Of the first elements of inp and wgt; accumulators are those of the tile."""
    first = {pad.buffer.name: index for pad, index in call.reads}
    operands = call.nest.operand
    acc = Pointer("acc", (Affine(0),) * len(operands["acc"].axes), _steps(operands["acc"], _DIMS))
    inp = Pointer("inp", first["inp"], _steps(operands["inp"], (*_DIMS, *_TAPS)))
    return Windows(acc, inp, Pointer("wgt", first["wgt"], _steps(operands["wgt"], _DIMS)))


def _steps(operand: Operand, dims: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """For each of `dims`, how far it moves along each axis."""
    return tuple(tuple(dict(axis.terms).get(dim, 0) for axis in operand.axes) for dim in dims)
