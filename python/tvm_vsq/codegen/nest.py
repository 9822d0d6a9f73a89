"""A lowered layer as plain integers: what remains of the TensorIR once its meaning is known.

Loops have consecutive numbers. An address is affine in them; inside a leaf the loops around it are numbers
already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Affine:
    """const + sum of coefficient * loop value over `terms` of (loop number, coefficient)."""

    const: int
    terms: tuple[tuple[int, int], ...] = ()

    def at(self, values: list[int]) -> int:
        """The value for the given loop values, indexed by loop number."""
        return self.const + sum(coefficient * values[loop] for loop, coefficient in self.terms)


@dataclass(frozen=True)
class Axis:
    """One axis of a copy: `extent` scratchpad steps from tensor index `base`, `step` apart in the tensor."""

    extent: int
    base: Affine
    step: int = 1


@dataclass(frozen=True)
class Copy:
    """A whole scratchpad buffer to or from a box of a DRAM tensor, axes from outside in (lanes removed)."""

    tensor: str
    buffer: str
    is_load: bool
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class Operand:
    """Entries base + sum of loop value * stride of one buffer, `strides` parallel to the nest's extents."""

    buffer: str
    base: Affine
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Gemm:
    """A loop nest of micro-ops; `inp` and `wgt` are None when the nest clears accumulators."""

    extents: tuple[int, ...]
    acc: Operand
    inp: Operand | None = None
    wgt: Operand | None = None


@dataclass(frozen=True)
class Ppu:
    """Post-process a whole accumulator buffer of `pixels` x `blocks` entries into `out` (None: in place)."""

    pixels: int
    blocks: int
    acc: str
    par: str
    par_base: Affine
    res: str | None
    out: str | None


@dataclass(frozen=True)
class Loop:
    """Repeat `body` for loop values 0 .. extent - 1."""

    number: int
    extent: int
    body: tuple[Node, ...]


Node: TypeAlias = Loop | Copy | Gemm | Ppu


@dataclass(frozen=True)
class Buffer:
    """One scratchpad allocation."""

    name: str
    scratchpad: str
    entries: int


@dataclass(frozen=True)
class Nest:
    """A lowered layer. `loops` is the number of Loop nodes."""

    buffers: tuple[Buffer, ...]
    body: tuple[Node, ...]
    loops: int
