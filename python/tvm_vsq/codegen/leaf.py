"""Read one innermost loop nest of lowered TensorIR."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from tvm_vsq.codegen.nest import Affine, Axis, Copy, Gemm, Operand, Ppu
from tvm_vsq.errors import ProgramError
from tvm_vsq.schedule.intrinsics import GEMM, PPU, RESET
from tvm_vsq.tvm_compat import detect_linear_equation

# Trailing axes of the DRAM tensors that make up one record.
_RECORD_AXES = {"X": 1, "R": 1, "Y": 1, "W": 2, "P": 2}


@dataclass(frozen=True)
class _Pad:
    """A scratchpad buffer as declared: shape with lanes, and its entry size in elements."""

    name: str
    scratchpad: str
    shape: tuple[int, ...]
    lanes: int
    alias: bool

    @property
    def entry(self) -> int:
        return prod(self.shape[len(self.shape) - self.lanes :])

    @property
    def entries(self) -> int:
        return prod(self.shape[: len(self.shape) - self.lanes])


class LeafReader:
    """Knows the buffers and outer loops around the leaves, and turns a leaf into Copy, Gemm or Ppu."""

    def __init__(self) -> None:
        self._outer: list[Any] = []
        self._pads: dict[str, _Pad] = {}

    def enter(self, var: Any, number: int) -> int:
        """Declare an outer loop; its variable is known to all leaves read afterwards."""
        self._outer.append(var)
        return number

    def declare(self, buffer: Any, scratchpad: str, shape: list[int], lanes: int, alias: bool) -> int:
        """Declare a scratchpad buffer and return its number of entries."""
        pad = _Pad(str(buffer.name), scratchpad, tuple(shape), lanes, alias)
        self._pads[pad.name] = pad
        return pad.entries

    def read(self, loops: list[Any], stmt: Any) -> Copy | Gemm | Ppu:
        """The leaf `stmt` inside `loops` (outermost first). ProgramError if it is none of the known forms."""
        if type(stmt).__name__ == "Evaluate":
            return self._gemm(loops, stmt.value)
        if _call_name(stmt.value) == PPU:
            return self._ppu([loop.loop_var for loop in loops], stmt)
        return self._copy(loops, stmt)

    def _affine(self, expr: Any, variables: list[Any]) -> tuple[list[int], Affine]:
        """Coefficients of the leaf's own variables, and the rest as an Affine of the outer loops."""
        known = [*variables, *self._outer]
        found = [int(c) for c in detect_linear_equation(expr, known)] if known else [int(expr)]
        if len(found) != len(known) + 1:
            raise ProgramError(f"index {expr} is not affine in the loops; this schedule is not supported")
        own, outer = found[: len(variables)], found[len(variables) : -1]
        return own, Affine(found[-1], tuple((i, c) for i, c in enumerate(outer) if c))

    def _copy(self, loops: list[Any], stmt: Any) -> Copy:
        value = stmt.value
        if _op_name(value) == "prim.if_then_else":
            value = value.args[1]
        destination = str(stmt.buffer.name)
        if type(value).__name__ == "IntImm" and int(value) == 0 and destination in self._pads:
            return self._border(self._pads[destination])
        if type(value).__name__ != "TensorLoad":
            raise ProgramError(f"'{destination}' is assigned {value}, which is no copy")
        source = str(value.source.name)
        is_load = destination in self._pads
        pad, tensor = (destination, source) if is_load else (source, destination)
        pad_index, tensor_index = (stmt.indices, value.indices) if is_load else (value.indices, stmt.indices)
        variables, extents = [loop.loop_var for loop in loops], [int(loop.extent) for loop in loops]
        axes = []
        for inside, outside in list(zip(pad_index, tensor_index, strict=True))[: -_RECORD_AXES[tensor]]:
            moving = [i for i, c in enumerate(self._affine(inside, variables)[0]) if c]
            steps, base = self._affine(outside, variables)
            axes.append(Axis(extents[moving[0]], base, steps[moving[0]]) if moving else Axis(1, base))
        if prod(axis.extent for axis in axes) != self._pads[pad].entries:
            raise ProgramError(
                f"the copy of '{tensor}' does not fill '{pad}'; this schedule is not supported"
            )
        if self._pads[pad].alias:
            pad = next(
                other.name for other in self._pads.values() if other.scratchpad == "acc" and not other.alias
            )
        return Copy(tensor, pad, is_load, tuple(axes))

    @staticmethod
    def _border(pad: _Pad) -> Copy:
        """A fill without any element of the input: TVM has found out that all of it is padding."""
        shape = pad.shape[: len(pad.shape) - pad.lanes]
        return Copy("X", pad.name, True, tuple(Axis(extent, Affine(-extent)) for extent in shape))

    def _gemm(self, loops: list[Any], call: Any) -> Gemm:
        name = _call_name(call)
        if name not in (GEMM, RESET):
            raise ProgramError(f"call of '{name}' has no instruction; this schedule is not supported")
        variables = [loop.loop_var for loop in loops]
        operands = [self._operand(pointer, variables) for pointer in call.args[1:]]
        return Gemm(tuple(int(loop.extent) for loop in loops), *operands)

    def _operand(self, pointer: Any, variables: list[Any]) -> Operand:
        pad = self._pads[
            str(pointer.args[1].args[0].name)
        ]  # access_ptr(type, data(buffer), offset, extent, mask)
        own, base = self._affine(pointer.args[2], variables)
        size = pad.entry
        terms = tuple((loop, c // size) for loop, c in base.terms)
        return Operand(pad.name, Affine(base.const // size, terms), tuple(c // size for c in own))

    def _ppu(self, variables: list[Any], stmt: Any) -> Ppu:
        first: dict[str, Any] = {}
        for load in stmt.value.args:
            if type(load).__name__ == "TensorLoad":
                first.setdefault(str(load.source.name), load)
        pads = {name: self._pads[name] for name in first}
        by_kind = {pad.scratchpad: pad for pad in pads.values()}
        acc, par, out = by_kind["acc"], by_kind["par"], self._pads[str(stmt.buffer.name)]
        group, block = (self._affine(index, variables)[1] for index in first[par.name].indices[:2])
        blocks_per_group = par.shape[1]
        base = Affine(
            group.const * blocks_per_group + block.const,
            tuple((loop, c * blocks_per_group) for loop, c in group.terms),
        )
        return Ppu(
            pixels=prod(acc.shape[:3]),
            blocks=acc.shape[3] * acc.shape[4],
            acc=acc.name,
            par=par.name,
            par_base=base,
            res=by_kind["inp"].name if "inp" in by_kind else None,
            out=None if out.alias else out.name,
        )


def _op_name(expr: Any) -> str:
    return str(expr.op.name) if type(expr).__name__ == "Call" else ""


def _call_name(expr: Any) -> str:
    """The callee of an external call, "" for anything else."""
    return str(expr.args[0].value) if _op_name(expr) in ("tirx.call_extern", "tirx.call_pure_extern") else ""
