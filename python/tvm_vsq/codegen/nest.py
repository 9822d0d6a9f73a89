"""A lowered layer as plain integers: what remains of the TensorIR once its meaning is known.

Loops have consecutive numbers. An address is affine in them; inside a leaf the loops around it are numbers
already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Protocol, TypeAlias

from tvm_vsq.schedule.access import Operand, Sizes
from tvm_vsq.schedule.nest import Tile

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
    """One axis of a copy: scratchpad steps from tensor index `base`, `step` apart in the tensor."""

    base: Affine
    step: int = 1


@dataclass(frozen=True)
class Copy:
    """A whole scratchpad buffer from or to a box of its DRAM tensor, axes from outside in (lanes removed).

    operand: whose tensor that is, where it is not the buffer's.
    """

    buffer: str
    is_load: bool
    axes: tuple[Axis, ...]
    operand: str = ""


@dataclass(frozen=True)
class Pointer:
    """Entries of one buffer: the index base + sum of loop value * step, with a step for each loop of a leaf.

    Index and steps are numbers along each axis of the buffer, whose extents depend on the tile.
    """

    buffer: str
    base: tuple[Affine, ...]
    steps: tuple[tuple[int, ...], ...]

    def entries(self, shape: Sequence[int], values: list[int]) -> tuple[int, tuple[int, ...]]:
        """The first entry of a row-major buffer, and the strides of the loops."""
        weights = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
        base = sum([affine.at(values) * weight for affine, weight in zip(self.base, weights, strict=True)])
        return base, tuple(
            sum([step * weight for step, weight in zip(steps, weights, strict=True)]) for steps in self.steps
        )


class Leaf(Protocol):
    """What instructions of one kind do inside the loops around them."""

    def emit(self, emitter: LayerEmitter, values: list[int]) -> None:
        """Append the steps for these values of the loops."""


@dataclass(frozen=True)
class Loop:
    """Repeat `body` for loop values 0 .. extent - 1, the tiles along `dim`."""

    number: int
    extent: int
    dim: str
    body: tuple[Node, ...]


Node: TypeAlias = Loop | Copy | Leaf


@dataclass(frozen=True)
class Buffer:
    """The scratchpad allocation of one operand, with an entry for each position of `shape`."""

    operand: Operand
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """Of the operand."""
        return self.operand.name

    @property
    def scratchpad(self) -> str:
        """That it lies in."""
        return self.operand.scratchpad

    @property
    def entries(self) -> int:
        """Scratchpad entries of one slot."""
        return prod(self.shape)

    def used(self, sizes: Sizes) -> tuple[int, ...]:
        """The shape that so many iterations use: less than all of it in the last tile."""
        if self.operand.streamed:
            return (self.operand.streamed,)
        return tuple(axis.span(sizes) for axis in self.operand.axes)


@dataclass(frozen=True)
class Nest:
    """A lowered layer in tiles like `tile`. `loops` is the number of Loop nodes."""

    tile: Tile
    buffers: tuple[Buffer, ...]
    body: tuple[Node, ...]
    loops: int
