"""Kinds of hardware unit, and what one operation of each costs in a technology (docs/energy.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from tvm_vsq.hardware.technology import Technology


class Unit(Protocol):
    """What components are made of."""

    def pj(self, table: Technology) -> float:
        """Energy of one operation, in pJ."""


@dataclass(frozen=True)
class Adder:
    """An adder, comparator or shifter of `bits` bits."""

    bits: int

    def pj(self, table: Technology) -> float:
        """Of one addition."""
        return table.integer_add.pj(self.bits)


@dataclass(frozen=True)
class Multiplier:
    """An array multiplier: a_bits x b_bits cells, as many as a square one of the geometric mean's width."""

    a_bits: int
    b_bits: int

    def pj(self, table: Technology) -> float:
        """Of one multiplication."""
        return table.integer_multiply.pj(math.sqrt(self.a_bits * self.b_bits))


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


@dataclass(frozen=True)
class Sram:
    """A memory of `kib` KiB with entries of `entry_bits` bits, interleaved over `banks`."""

    kib: float
    entry_bits: int
    banks: int

    def pj(self, table: Technology) -> float:
        """Of reading or writing one bit.

        An entry wider than the technology's access is spread over macros side by side, each with its share of
        the capacity: shorter bit lines, so less energy per bit.
        """
        access = table.sram_access
        macros = max(1.0, self.entry_bits / access.access_bits)
        return access.pj(self.kib / macros) / access.access_bits


@dataclass(frozen=True)
class DramChannel:
    """The external memory and the channel to it."""

    def pj(self, table: Technology) -> float:
        """Of one byte on the bus."""
        return 8 * table.dram_access.pj / table.dram_access.access_bits
