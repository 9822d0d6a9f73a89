"""One instruction on its way into a program: what it does, and what it touches."""

from __future__ import annotations

from dataclasses import dataclass, field

from tvm_vsq.isa import ENGINE_OF, Insn

Interval = tuple[str, int, int]
"""(memory, first, end): scratchpad entries, or pixels of a DRAM tensor."""


@dataclass
class Step:
    """`insn`, from layer number `layer`.

    `reads` and `writes` are scratchpad intervals, `dram_read` and `dram_write` pixels of an activation
    tensor. If `region` is named, its DRAM address has yet to be added to the field dram_base. constant: a
    LOAD of what no step stores.
    """

    insn: Insn
    layer: int
    reads: tuple[Interval, ...] = ()
    writes: tuple[Interval, ...] = ()
    region: str | None = None
    dram_read: Interval | None = None
    dram_write: Interval | None = None
    constant: bool = False
    tokens: set[str] = field(default_factory=set)

    @property
    def engine(self) -> str:
        """What executes it."""
        return ENGINE_OF[self.insn.name]
