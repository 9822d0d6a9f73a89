"""Why a layer takes its cycles: stalls by cause, place in the roofline, share of the critical path."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tvm_vsq.runtime import native


@dataclass(frozen=True)
class Stall:
    """Cycles that `unit` (fetch, load, compute, store) waited for `waits_for` while `cause` went on."""

    unit: str
    waits_for: str
    cause: str
    cycles: int


@dataclass(frozen=True)
class Roofline:
    """A layer under the roofs of its accelerator (Williams et al., CACM 2009).

    `intensity` is useful MACs per DRAM byte, `attainable` the MACs per cycle that array and DRAM bandwidth
    allow at this intensity, `attained` those that were done.
    """

    intensity: float
    attainable: float
    attained: float
    bound: str

    @staticmethod
    def of(macs: int, dram_bytes: int, cycles: int, peak: int, bytes_per_cycle: int) -> Roofline:
        """`peak` is the array's MACs per cycle."""
        intensity = macs / dram_bytes if dram_bytes else float("inf")
        by_dram = intensity * bytes_per_cycle
        bound = "compute" if by_dram >= peak else "DRAM"
        return Roofline(intensity, min(float(peak), by_dram), macs / cycles if cycles else 0.0, bound)


def stalls_by_layer(run: Mapping[str, Any]) -> dict[int, tuple[Stall, ...]]:
    """The stalls of a simulated program, longest first."""
    names = native.timing_names()
    stalls: dict[int, list[Stall]] = {}
    for layer, unit, stall, cause, cycles in native.stall_rows(run).tolist():
        row = Stall(names["units"][unit], names["stalls"][stall], names["causes"][cause], cycles)
        stalls.setdefault(layer, []).append(row)
    return {layer: tuple(sorted(rows, key=lambda row: -row.cycles)) for layer, rows in stalls.items()}


@dataclass(frozen=True)
class Bottleneck:
    """One layer: shares of the compute engine's time, and cycles of the critical path by kind of step."""

    layer: str
    cycles: int
    roofline: Roofline
    compute_busy: float
    compute_stalls: dict[str, float]
    critical: dict[str, int]


class Bottlenecks(tuple[Bottleneck, ...]):
    """`Profile.why()`: one row a layer. Prints as a table."""

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(width=150, file=io.StringIO())
        console.print(self._table())
        return str(console.file.getvalue()).rstrip()  # type: ignore[attr-defined]

    def to_list(self) -> list[dict[str, Any]]:
        """The rows as plain data."""
        return [asdict(row) for row in self]

    def _table(self) -> Any:
        from rich.table import Table

        table = Table(title="Why it is slow", title_justify="left")
        table.add_column("layer", overflow="fold")
        for heading in ("cycles", "MACs/DRAM B", "roof", "of roof", "bound"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("compute engine: busy; waits while", overflow="fold")
        table.add_column("critical path, cycles", overflow="fold")
        for row in self:
            roof = row.roofline
            shares = sorted(row.compute_stalls.items(), key=lambda item: -item[1])
            waits = ", ".join(f"{cause} {share:.1%}" for cause, share in shares if share >= 0.001)
            path = sorted(row.critical.items(), key=lambda item: -item[1])
            table.add_row(
                row.layer,
                f"{row.cycles:,}",
                f"{roof.intensity:.1f}",
                f"{roof.attainable:.0f}",
                f"{roof.attained / roof.attainable:.1%}" if roof.attainable else "-",
                roof.bound,
                f"busy {row.compute_busy:.1%}" + (f"; {waits}" if waits else ""),
                ", ".join(f"{step} {cycles:,}" for step, cycles in path),
            )
        return table


def compute_shares(busy: Mapping[str, int], stalls: Sequence[Stall]) -> tuple[float, dict[str, float]]:
    """Shares of the compute engine's time in a layer: busy, and waiting by cause.

    What follows its last instruction is not counted.
    """
    waits: dict[str, int] = {}
    for stall in stalls:
        if stall.unit == "compute" and stall.waits_for != "finished":
            waits[stall.cause] = waits.get(stall.cause, 0) + stall.cycles
    total = busy["compute"] + sum(waits.values())
    if not total:
        return 0.0, {}
    return busy["compute"] / total, {cause: cycles / total for cause, cycles in waits.items()}
