"""One instruction on its way into a program: what it does, and what it touches."""

from __future__ import annotations

from dataclasses import dataclass, field

from tvm_vsq.isa import Insn

Interval = tuple[str, int, int]
"""(memory, first, end): scratchpad entries, or pixels of a DRAM tensor."""


@dataclass
class Step:
    """`insn` on `engine` ("load", "compute" or "store"), from layer number `layer`.

    `reads` and `writes` are scratchpad intervals, `dram_read` and `dram_write` pixels of an activation
    tensor. If `region` is named, its DRAM address has yet to be added to the field dram_base.
    """

    insn: Insn
    engine: str
    layer: int
    reads: tuple[Interval, ...] = ()
    writes: tuple[Interval, ...] = ()
    region: str | None = None
    dram_read: Interval | None = None
    dram_write: Interval | None = None
    tokens: set[str] = field(default_factory=set)
