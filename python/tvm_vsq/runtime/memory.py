"""The DRAM that an artifact's programs take, and the bytes that they have to move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tvm_vsq.runtime.metadata import ProgramInfo


@dataclass(frozen=True)
class MemoryUse:
    """DRAM of all programs in bytes: constants, micro-ops, and the arenas.

    In a program's arena, tensors that are never in use together share bytes; `separate_bytes` is what the
    arenas would be if none did.
    """

    constant_bytes: int
    micro_op_bytes: int
    arena_bytes: int
    separate_bytes: int

    @classmethod
    def of(cls, programs: Sequence[ProgramInfo]) -> MemoryUse:
        """Of an artifact."""
        return cls(
            sum(program.constant_bytes for program in programs),
            sum(program.micro_op_bytes for program in programs),
            sum(program.arena_bytes for program in programs),
            sum(program.separate_bytes for program in programs),
        )

    @property
    def total_bytes(self) -> int:
        """What the simulator allocates."""
        return self.constant_bytes + self.micro_op_bytes + self.arena_bytes

    def __str__(self) -> str:
        return (
            f"DRAM: {self.total_bytes:,} bytes, {self.constant_bytes:,} of them constants, "
            f"{self.micro_op_bytes:,} micro-ops and {self.arena_bytes:,} the arena of inputs, results and "
            f"what lies between layers ({self.separate_bytes:,} if they shared none)"
        )

    def to_dict(self) -> dict[str, Any]:
        """The fields and the total."""
        return {**asdict(self), "total_bytes": self.total_bytes}


def ratio_of(moved: int, minimum: int) -> float:
    """Bytes moved over those that have to be; 0 where there are none."""
    return moved / minimum if minimum else 0.0


def moved_note(moved: int, minimum: int, on_chip_minimum: int) -> str:
    """What the bytes that were moved compare with."""
    return (
        f"DRAM traffic: {moved:,} bytes, {ratio_of(moved, minimum):.2f} times the {minimum:,} that layers, "
        f"one by one, move in any schedule; {on_chip_minimum:,} if nothing between layers left the chip"
    )
