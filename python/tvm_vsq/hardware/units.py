"""Kinds of hardware unit: what they are made of, and what an operation of each costs (docs/energy.md).

Parts are counted in the terms of `gates.Gates`, whose areas come from synthesis.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tvm_vsq.hardware.technology import Technology

Parts = Mapping[str, float]


class Unit(Protocol):
    """What components are made of."""

    def pj(self, table: Technology) -> float:
        """Energy of one operation, in pJ."""

    @property
    def parts(self) -> Parts:
        """How many of each part of `Gates`; none where the area is that of a memory."""


@dataclass(frozen=True)
class Adder:
    """An adder, or a comparator, of `bits` bits."""

    bits: int

    def pj(self, table: Technology) -> float:
        """Of one addition."""
        return table.integer_add.pj(self.bits)

    @property
    def parts(self) -> Parts:
        """A bit of an adder each."""
        return {"adder": self.bits}


@dataclass(frozen=True)
class Trial:
    """A subtraction of `bits` bits whose sign decides whether it stands: a step of a division."""

    bits: int

    def pj(self, table: Technology) -> float:
        """Of one step, taken as an addition."""
        return table.integer_add.pj(self.bits)

    @property
    def parts(self) -> Parts:
        """A bit each, and a choice."""
        return {"trial": self.bits, "select": self.bits - 1}


@dataclass(frozen=True)
class Shifter:
    """A shifter of `bits` bits to the right by up to 2^`levels` - 1."""

    bits: int
    levels: int

    def pj(self, table: Technology) -> float:
        """Of one shift; taken as an addition of its width."""
        return table.integer_add.pj(self.bits)

    @property
    def parts(self) -> Parts:
        """A selector for each bit and level."""
        return {"shift": self.bits * self.levels}


@dataclass(frozen=True)
class Selector:
    """One of two numbers of `bits` bits."""

    bits: int

    def pj(self, table: Technology) -> float:
        """Not counted."""
        return 0.0

    @property
    def parts(self) -> Parts:
        """A bit each."""
        return {"select": self.bits}


@dataclass(frozen=True)
class Register:
    """`bits` flip-flops."""

    bits: float

    def pj(self, table: Technology) -> float:
        """Of taking new data, without the clock: that goes by cycles (standing.py)."""
        return self.bits * table.logic.register_pj if table.logic else 0.0

    @property
    def parts(self) -> Parts:
        """A bit each."""
        return {"register": self.bits}


@dataclass(frozen=True)
class GatedRegister:
    """`bits` flip-flops that are clocked only where they take something; events count that as of a memory."""

    bits: float

    def pj(self, table: Technology) -> float:
        """Not counted here."""
        return 0.0

    @property
    def parts(self) -> Parts:
        """A bit each."""
        return {"register": self.bits}


@dataclass(frozen=True)
class Multiplier:
    """An array multiplier: a_bits x b_bits cells, as many as a square one of the geometric mean's width."""

    a_bits: int
    b_bits: int

    def pj(self, table: Technology) -> float:
        """Of one multiplication."""
        return table.integer_multiply.pj(math.sqrt(self.a_bits * self.b_bits))

    @property
    def parts(self) -> Parts:
        """A partial product for each pair of bits; the first row and column have nothing to be added to."""
        return {"product": self.a_bits * self.b_bits, "compress": (self.a_bits - 1) * (self.b_bits - 1)}


@dataclass(frozen=True)
class AdderTree:
    """Adds `inputs` numbers, a power of two, of `bits` bits."""

    inputs: int
    bits: int

    @property
    def sum_bits(self) -> int:
        """Width of the sum."""
        return self.bits + len(self.levels)

    @property
    def levels(self) -> tuple[tuple[int, Adder], ...]:
        """Number and kind of the adders in each level: half as many each time, and one bit wider."""
        depth = int(math.log2(self.inputs))
        return tuple((self.inputs >> level + 1, Adder(self.bits + level)) for level in range(depth))

    def pj(self, table: Technology) -> float:
        """Of one sum."""
        return sum(count * adder.pj(table) for count, adder in self.levels)

    @property
    def parts(self) -> Parts:
        """Of all its adders."""
        return {"adder": sum(count * adder.bits for count, adder in self.levels)}


@dataclass(frozen=True)
class Sram:
    """A memory of `kib` KiB with entries of `entry_bits` bits, interleaved over `banks`.

    reads, writes: ports of each bank, an entry wide.
    """

    kib: float
    entry_bits: int
    banks: int
    reads: int = 1
    writes: int = 1

    def pj(self, table: Technology) -> float:
        """Of reading or writing one bit.

        An entry wider than the technology's access is spread over macros side by side, each with its share of
        the capacity: shorter bit lines, so less energy per bit.
        """
        access = table.sram_access
        macros = max(1.0, self.entry_bits / access.access_bits)
        return access.pj(self.kib / macros) / access.access_bits

    @property
    def parts(self) -> Parts:
        """None: `Technology.sram_area`."""
        return {}


@dataclass(frozen=True)
class DramChannel:
    """The external memory and the channel to it, for one direction."""

    writes: bool = False

    def pj(self, table: Technology) -> float:
        """Of one byte on the bus."""
        access = table.dram_access
        pj = access.write_pj if self.writes and access.write_pj is not None else access.pj
        return 8 * pj / access.access_bits

    @property
    def parts(self) -> Parts:
        """None: it is not on the chip."""
        return {}
