"""What an inference does on the CPU: in no cycle, energy or traffic of a profile, and named beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from tvm_vsq.runtime.metadata import Placement

_NAMED = 6


@dataclass(frozen=True)
class CpuOperators:
    """All operators of one kind on the CPU; sums over one inference, as in `transform.work.Work`."""

    op: str
    count: int
    macs: int
    operations: int
    bytes: int


@dataclass(frozen=True)
class NotCounted:
    """The operators on the CPU, by kind, those with most multiply-accumulates and bytes first.

    accelerator_macs: the useful ones that the profile counts.
    """

    operators: tuple[CpuOperators, ...]
    accelerator_macs: int

    @classmethod
    def of(cls, placements: Iterable[Placement], accelerator_macs: int) -> NotCounted:
        """From where an artifact's operators run."""
        kinds: dict[str, CpuOperators] = {}
        for row in placements:
            if row.work is not None:
                before = kinds.get(row.op, CpuOperators(row.op.removeprefix("relax."), 0, 0, 0, 0))
                kinds[row.op] = CpuOperators(
                    before.op,
                    before.count + 1,
                    before.macs + row.work.macs,
                    before.operations + row.work.operations,
                    before.bytes + row.work.bytes,
                )
        order = sorted(kinds.values(), key=lambda kind: (-kind.macs, -kind.bytes))
        return cls(tuple(order), accelerator_macs)

    @property
    def macs(self) -> int:
        """Multiply-accumulates on the CPU."""
        return sum(kind.macs for kind in self.operators)

    @property
    def operations(self) -> int:
        """Operations of other kinds on the CPU."""
        return sum(kind.operations for kind in self.operators)

    @property
    def bytes(self) -> int:
        """Bytes that the operators on the CPU read and write."""
        return sum(kind.bytes for kind in self.operators)

    @property
    def macs_share(self) -> float:
        """Part of the network's useful multiply-accumulates that is done on the CPU, 0..1."""
        total = self.macs + self.accelerator_macs
        return self.macs / total if total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "macs": self.macs,
            "macs_share": self.macs_share,
            "operations": self.operations,
            "bytes": self.bytes,
            "operators": [asdict(kind) for kind in self.operators],
        }

    def __str__(self) -> str:
        if not self.operators:
            return "nothing runs on the CPU"
        named = [f"{kind.count} {kind.op.removeprefix('nn.')}" for kind in self.operators[:_NAMED]]
        if others := sum(kind.count for kind in self.operators[_NAMED:]):
            named.append(f"{others} more")
        return (
            f"not counted: {', '.join(named)} on the CPU, "
            f"{self.macs:,} MACs ({self.macs_share:.1%} of all), {self.operations:,} other operations, "
            f"{self.bytes:,} bytes"
        )
