"""A lowered layer as plain integers: what remains of the TensorIR once its meaning is known.

Loops have consecutive numbers. An address is affine in them; inside a leaf the loops around it are numbers
already.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from tvm_vsq.codegen.emit import LayerEmitter


@dataclass(frozen=True)
class Affine:
    """const + sum of coefficient * loop value over `terms` of (loop number, coefficient)."""

    const: int
    terms: tuple[tuple[int, int], ...] = ()

    def at(self, values: list[int]) -> int:
        """The value for the given loop values, indexed by loop number."""
        return self.const + sum([coefficient * values[loop] for loop, coefficient in self.terms])

    def times(self, factor: int) -> Affine:
        """The product with a constant."""
        return Affine(self.const * factor, tuple((loop, c * factor) for loop, c in self.terms))

    def plus(self, other: Affine) -> Affine:
        """The sum."""
        terms = dict(self.terms)
        for loop, coefficient in other.terms:
            terms[loop] = terms.get(loop, 0) + coefficient
        return Affine(self.const + other.const, tuple(terms.items()))


@dataclass(frozen=True)
class Axis:
    """One axis of a copy: `extent` scratchpad steps from tensor index `base`, `step` apart in the tensor."""

    extent: int
    base: Affine
    step: int = 1


@dataclass(frozen=True)
class Copy:
    """A whole scratchpad buffer from or to a box of its DRAM tensor, axes from outside in (lanes removed)."""

    buffer: str
    is_load: bool
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class Pointer:
    """Entries base + sum of loop value * stride of one buffer, `strides` parallel to a leaf's extents."""

    buffer: str
    base: Affine
    strides: tuple[int, ...]


class Leaf(Protocol):
    """What instructions of one kind do inside the loops around them."""

    def emit(self, emitter: LayerEmitter, values: list[int]) -> None:
        """Append the steps for these values of the loops."""


@dataclass(frozen=True)
class Loop:
    """Repeat `body` for loop values 0 .. extent - 1."""

    number: int
    extent: int
    body: tuple[Node, ...]


Node: TypeAlias = Loop | Copy | Leaf


@dataclass(frozen=True)
class Buffer:
    """The scratchpad allocation of one operand, with an entry for each position of `shape`."""

    name: str
    scratchpad: str
    shape: tuple[int, ...]

    @property
    def entries(self) -> int:
        """Scratchpad entries of one slot."""
        return prod(self.shape)


@dataclass(frozen=True)
class Nest:
    """A lowered layer. `loops` is the number of Loop nodes."""

    buffers: tuple[Buffer, ...]
    body: tuple[Node, ...]
    loops: int
