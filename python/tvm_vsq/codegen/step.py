"""One instruction on its way into a program: what it does, and what it touches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tvm_vsq.isa import ENGINE_OF, Insn

Interval = tuple[str, int, int]
"""(memory, first, end): entries of a scratchpad, or bytes of DRAM."""

DRAM = "dram"


def overlap(some: Iterable[Interval], others: Sequence[Interval]) -> bool:
    """Whether one of some intervals has something in common with one of others."""
    return any(
        memory == other and first < last and begin < end
        for memory, first, end in some
        for other, begin, last in others
    )


@dataclass
class Step:
    """`insn`, from layer number `layer`.

    If a `region` of DRAM is named, its address has yet to be added to the field dram_base and to the bytes of
    DRAM. constant: a LOAD of what no step stores; its bytes are not listed. makes_rows: a PPU that leaves
    rows to the vector unit.
    """

    insn: Insn
    layer: int
    reads: tuple[Interval, ...] = ()
    writes: tuple[Interval, ...] = ()
    region: str | None = None
    constant: bool = False
    makes_rows: bool = False
    tokens: set[str] = field(default_factory=set)

    @property
    def engine(self) -> str:
        """What executes it."""
        return ENGINE_OF[self.insn.name]

    def locate(self, addresses: Mapping[str, int]) -> None:
        """Replace the region, if one is named, by its address of these."""
        if self.region is None:
            return
        address = addresses[self.region]
        self.insn.fields["dram_base"] += address
        self.reads, self.writes = (
            tuple((m, b + address, e + address) if m == DRAM else (m, b, e) for m, b, e in intervals)
            for intervals in (self.reads, self.writes)
        )
        self.region = None
