"""Read one innermost loop nest of lowered TensorIR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from tvm_vsq.codegen.nest import Affine, Axis, Buffer, Copy, Leaf, Pointer
from tvm_vsq.errors import ProgramError
from tvm_vsq.schedule import LoopNest
from tvm_vsq.schedule.memories import Entry
from tvm_vsq.schedule.tensorir import INSIDE
from tvm_vsq.tvm_compat import detect_linear_equation


@dataclass(frozen=True)
class Pad:
    """The buffer of an operand as TensorIR declares it, with `shape`; `alias` if it takes the place of
    another.
    """

    buffer: Buffer
    shape: tuple[int, ...]
    entry: Entry
    alias: bool


@dataclass(frozen=True)
class ExternCall:
    """A call of an external function inside loops over `dims`, which has an instruction.

    pointers: the buffers that it is given, as addresses. reads: for calls that are values, the index of the
    first element of each buffer that it takes, without lanes, as it depends on the loops around; `target` is
    then the buffer that is assigned.
    """

    nest: LoopNest
    dims: tuple[str, ...]
    pointers: tuple[Pointer, ...] = ()
    reads: tuple[tuple[Pad, tuple[Affine, ...]], ...] = ()
    target: Pad | None = None


LeafReader = Callable[[ExternCall], Leaf]


class TensorReader:
    """Knows the buffers and outer loops around the leaves, and turns a leaf into a Copy or its instructions.

    leaves: by the name of the external function, what reads a call of it.
    """

    def __init__(self, nest: LoopNest, leaves: dict[str, LeafReader]) -> None:
        self._nest = nest
        self._leaves = leaves
        self._outer: list[Any] = []
        self._pads: dict[str, Pad] = {}

    def enter(self, var: Any) -> None:
        """Declare an outer loop; its variable is known to all leaves read afterwards."""
        self._outer.append(var)

    def declare(self, name: str, pad: Pad) -> None:
        """Declare the buffer that TensorIR calls `name`."""
        self._pads[name] = pad

    def read(self, loops: list[Any], stmt: Any) -> Copy | Leaf:
        """The leaf `stmt` inside `loops` (outermost first). ProgramError if it is none of the known forms."""
        variables = [loop.loop_var for loop in loops]
        extents = tuple(int(loop.extent) for loop in loops)
        callee = _call_name(stmt.value)
        if type(stmt).__name__ == "BufferStore" and not callee:
            return self._copy(variables, extents, stmt)
        if callee not in self._leaves:
            raise ProgramError(f"call of '{callee}' has no instruction; this schedule is not supported")
        arguments = stmt.value.args[1:]
        if type(stmt).__name__ == "BufferStore":
            reads = self._first_reads(arguments, variables)
            call = ExternCall(self._nest, (), reads=reads, target=self._pads[str(stmt.buffer.name)])
        else:
            pointers = tuple(self._pointer(pointer, variables) for pointer in arguments)
            call = ExternCall(self._nest, tuple(map(_dim_of, loops)), pointers)
        return self._leaves[callee](call)

    def _affine(self, expr: Any, variables: list[Any]) -> tuple[list[int], Affine]:
        """Coefficients of the leaf's own variables, and the rest as an Affine of the outer loops."""
        known = [*variables, *self._outer]
        found = [int(c) for c in detect_linear_equation(expr, known)] if known else [int(expr)]
        if len(found) != len(known) + 1:
            raise ProgramError(f"index {expr} is not affine in the loops; this schedule is not supported")
        own, outer = found[: len(variables)], found[len(variables) : -1]
        return own, Affine(found[-1], tuple((i, c) for i, c in enumerate(outer) if c))

    def _copy(self, variables: list[Any], extents: tuple[int, ...], stmt: Any) -> Copy:
        value = stmt.value
        if _op_name(value) == "prim.if_then_else":
            value = value.args[1]
        if type(value).__name__ == "Cast":  # to the type of accumulators
            value = value.value
        destination = str(stmt.buffer.name)
        if type(value).__name__ == "IntImm" and int(value) == 0 and destination in self._pads:
            # TVM has found out that all of it is padding.
            pad = self._pads[destination]
            return Copy(pad.buffer.name, True, tuple(Axis(Affine(-extent)) for extent in pad.shape))
        if type(value).__name__ != "TensorLoad":
            raise ProgramError(f"'{destination}' is assigned {value}, which is no copy")
        is_load = destination in self._pads
        pad = self._pads[destination if is_load else str(value.source.name)]
        inner, outer = (stmt.indices, value.indices) if is_load else (value.indices, stmt.indices)
        axes, shape = [], []
        for inside, outside in list(zip(inner, outer, strict=True))[: len(pad.shape)]:
            moving = [i for i, c in enumerate(self._affine(inside, variables)[0]) if c]
            steps, base = self._affine(outside, variables)
            axes.append(Axis(base, steps[moving[0]]) if moving else Axis(base))
            shape.append(extents[moving[0]] if moving else 1)
        if tuple(shape) != pad.shape:
            raise ProgramError(
                f"the copy of '{pad.buffer.name}' does not fill its buffer; this schedule is not supported"
            )
        operand = str(value.source.name) if pad.buffer.name == "acc" and is_load else ""
        return Copy(pad.buffer.name, is_load, tuple(axes), operand)

    def _pointer(self, pointer: Any, variables: list[Any]) -> Pointer:
        # access_ptr(type, data(buffer), offset, extent, mask)
        pad = self._pads[str(pointer.args[1].args[0].name)]
        own, base = self._affine(pointer.args[2], variables)
        const, *outer = (_index(offset, pad) for offset in (base.const, *(c for _, c in base.terms)))
        loops = [loop for loop, _ in base.terms]
        index = tuple(
            Affine(first, tuple((loop, c) for loop, c in zip(loops, steps, strict=True) if c))
            for first, *steps in zip(const, *outer, strict=True)
        )
        return Pointer(pad.buffer.name, index, tuple(_index(offset, pad) for offset in own))

    def _first_reads(
        self, arguments: Any, variables: list[Any]
    ) -> tuple[tuple[Pad, tuple[Affine, ...]], ...]:
        first: dict[str, Any] = {}
        for load in arguments:
            if type(load).__name__ == "TensorLoad":
                first.setdefault(str(load.source.name), load)
        found = []
        for name, load in first.items():
            pad = self._pads[name]
            index = load.indices[: len(pad.shape)]
            found.append((pad, tuple(self._affine(each, variables)[1] for each in index)))
        return tuple(found)


def _dim_of(loop: Any) -> str:
    if INSIDE not in loop.annotations:
        raise ProgramError(f"the loop over {loop.loop_var} has no dimension; this schedule is not supported")
    return str(loop.annotations[INSIDE])


def _index(offset: int, pad: Pad) -> tuple[int, ...]:
    """The index along each axis of an element's offset in a row-major buffer."""
    index = []
    for axis in range(len(pad.shape)):
        place, offset = divmod(offset, prod((*pad.shape[axis + 1 :], *pad.entry.shape)))
        index.append(place)
    return tuple(index)


def _op_name(expr: Any) -> str:
    return str(expr.op.name) if type(expr).__name__ == "Call" else ""


def _call_name(expr: Any) -> str:
    """The callee of an external call, "" for anything else."""
    return str(expr.args[0].value) if _op_name(expr) in ("tirx.call_extern", "tirx.call_pure_extern") else ""
