"""Where each operator of an artifact runs, and why."""

from __future__ import annotations

from collections.abc import Iterator

from typing_extensions import Self

from tvm_vsq.runtime.memory import MemoryUse
from tvm_vsq.runtime.metadata import Metadata, Placement
from tvm_vsq.runtime.not_counted import NotCounted
from tvm_vsq.terminal import Column, Kind, Printed, Table


class Explanation(Printed, tuple[Placement, ...]):
    """Rows of `Executable.explain()`: one per operator, printed as a table.

    import_note: how the import was checked, in words; empty for a module that came quantized.
    memory: the DRAM that the programs take. layers: operators on the accelerator; steps: rows of a profile,
    in some of which several of them are joined. not_counted: what runs on the CPU.
    """

    import_note: str = ""
    layers: int = 0
    steps: int = 0
    not_counted: NotCounted = NotCounted((), 0)
    memory: MemoryUse = MemoryUse(0, 0, 0, 0)

    @classmethod
    def of(cls, data: Metadata) -> Self:
        """Of an artifact."""
        made = cls(data.placements)
        made.import_note = data.import_note
        made.memory = MemoryUse.of(data.programs)
        # one that makes the rows of another may be in one program step with it, but is a layer nevertheless
        made.layers = sum(row.where == "accelerator" and row.layer != "" for row in made)
        made.steps = len(data.layers)
        made.not_counted = NotCounted.of(data.placements, sum(layer.macs for layer in data.layers))
        return made

    @property
    def totals(self) -> str:
        """In words, how much of the network runs where."""
        on_cpu = sum(kind.count for kind in self.not_counted.operators)
        share = 1 - self.not_counted.macs_share
        joined = f", joined to {self.steps} rows of a profile," if self.steps != self.layers else ""
        return (
            f"On the accelerator: {self.layers} layers{joined} with {share:.1%} of the multiply-accumulates; "
            f"on the CPU: {on_cpu} operators with {self.not_counted.macs:,} of them, "
            f"{self.not_counted.operations:,} other operations and {self.not_counted.bytes:,} bytes"
        )

    @property
    def summary(self) -> str:
        """`totals`."""
        return self.totals

    def _parts(self, wide: bool) -> Iterator[Table | str]:
        columns = (
            Column("operator", 1, Kind.NAME),
            Column("layer", kind=Kind.NAME),
            Column("runs on", kind=Kind.WORD),
            Column("why", kind=Kind.TEXT),
            Column("CPU MACs", 3),
            Column("CPU bytes", 2),
        )
        rows = []
        for row in self:
            work = ("", "") if row.work is None else (f"{row.work.macs:,}", f"{row.work.bytes:,}")
            operator = row.op.removeprefix("relax.").removeprefix("vsq.")
            rows.append((operator, row.layer, row.where, row.why, *work))
        yield Table("Where each operator runs", columns, rows)
        yield f"{self.totals}."
        yield f"{self.memory}."
        if self.import_note:
            yield f"Import {self.import_note}."
