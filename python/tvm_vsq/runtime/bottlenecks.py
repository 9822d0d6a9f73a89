"""Why a layer takes its cycles: stalls by cause, place in the roofline, share of the critical path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from typing_extensions import Self

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.hardware.engines import ENGINES, Engine
from tvm_vsq.runtime import native
from tvm_vsq.runtime.causes import Cause
from tvm_vsq.terminal import Column, Kind, Printed, Table

_LEGEND = (
    "ops: MACs of compute, padding included, and lanes of vector and ppu; roof: ops per cycle; "
    "while compute: while an engine calculates, be it compute, vector or ppu"
)
_LARGEST = 3


@dataclass(frozen=True)
class Stall:
    """Cycles that `unit` (fetch, or an engine) waited for `waits_for` while `cause` went on."""

    unit: str
    waits_for: str
    cause: str
    cycles: int


@dataclass(frozen=True)
class Roofline:
    """A layer under the roofs of its accelerator (Williams et al., CACM 2009).

    `unit` is the engine that works in the layer: compute if it has multiply-accumulates, else whichever of
    vector and ppu is busy longer. Operations of compute are MACs (padded channels included: padding costs the
    array, not DRAM), those of vector and ppu are lanes. `intensity` is operations per DRAM byte, `attainable`
    the operations per cycle that `unit` and DRAM bandwidth allow at this intensity, `attained` those that
    were done. `bound` is which of the two allows less: `unit`, or "DRAM".
    """

    unit: str
    intensity: float
    attainable: float
    attained: float
    bound: str

    @staticmethod
    def of(
        events: Mapping[str, int], busy: Mapping[str, int], cycles: int, hardware: HardwareConfig
    ) -> Roofline:
        """Of a layer's events, and cycles of work of each unit."""
        engine = _working_engine(events, busy)
        operations, dram_bytes = events[engine.work], events["dram_read_bytes"] + events["dram_write_bytes"]
        peak = float(hardware.macs_per_cycle if engine.work == "macs" else hardware.output_lanes)
        if engine.work == "macs" and events["window_macs"]:
            operations += events["window_macs"]
            peak /= hardware.input_slices  # an input is an element times its scale
        intensity = operations / dram_bytes if dram_bytes else float("inf")
        by_dram = intensity * hardware.dram.bytes_per_cycle
        bound = engine.name if by_dram >= peak else "DRAM"
        attained = operations / cycles if cycles else 0.0
        return Roofline(engine.name, intensity, min(peak, by_dram), attained, bound)


def _working_engine(events: Mapping[str, int], busy: Mapping[str, int]) -> Engine:
    array, *others = (engine for engine in ENGINES if engine.work)
    return (
        array
        if events[array.work] or events["window_macs"]
        else max(others, key=lambda engine: busy[engine.name])
    )


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
    """One layer: shares of the time of `unit`, and cycles of the critical path by kind of step.

    `busy_cycles` are those of work, `busy` is their share. The rest are waits, also before the unit's first
    instruction of the layer, while others finish the layers before. A step in which an engine calculates has
    the engine's name. `padding` is the part of the array's work that multiplies zeros which fill up channels.
    `stalls` are by what the unit waits for and what goes on meanwhile: "token from load, DRAM latency".
    """

    layer: str
    cycles: int
    roofline: Roofline
    padding: float
    unit: str
    busy_cycles: int
    busy: float
    stalls: dict[str, float]
    critical: dict[str, int]


class Bottlenecks(Printed, tuple[Bottleneck, ...]):
    """`Profile.why()`: one row a layer. Prints the largest of `causes`, then a table, with `notes` below."""

    notes: tuple[str, ...]
    causes: tuple[Cause, ...]

    def __new__(
        cls, rows: Iterable[Bottleneck], notes: tuple[str, ...] = (), causes: tuple[Cause, ...] = ()
    ) -> Self:
        """Rows in program order, what `Profile.notes` says, and why the whole network takes its cycles."""
        made = super().__new__(cls, rows)
        made.notes = notes
        made.causes = causes
        return made

    def to_list(self) -> list[dict[str, Any]]:
        """The rows as plain data."""
        return [asdict(row) for row in self]

    def to_dict(self) -> dict[str, Any]:
        """All causes, each with its sentence (`text`), and the rows, as plain data."""
        causes = [{**asdict(cause), "text": str(cause)} for cause in self.causes]
        return {"causes": causes, "layers": self.to_list()}

    @property
    def summary(self) -> str:
        """The largest cause."""
        return str(self.causes[0]) if self.causes else "nothing runs on the accelerator"

    def _parts(self, wide: bool) -> Iterator[Table | str]:
        if self.causes:
            yield "Why it is slow: what the critical path consists of"
            yield from (f"{rank}. {cause}" for rank, cause in enumerate(self.causes[:_LARGEST], 1))
        yield self._table(wide)
        if wide:
            yield _LEGEND
        yield from self.notes

    def _table(self, wide: bool) -> Table:
        columns = (
            Column("layer", kind=Kind.NAME),
            Column("cycles"),
            Column("padding", 4),
            Column("ops/DRAM B", 6),
            Column("roof", 7),
            Column("of roof", 2),
            Column("bound", 3, Kind.WORD),
            Column("unit busy, cycles; waits for ... (while ...)", 1, Kind.TEXT),
            Column("critical path, cycles", 5, Kind.TEXT),
        )
        rows = []
        for row in self:
            roof = row.roofline
            waits = _by_what_is_waited_for(row.stalls, None if wide else _LARGEST)
            path = sorted(row.critical.items(), key=lambda item: -item[1])
            rows.append(
                (
                    row.layer,
                    f"{row.cycles:,}",
                    f"{row.padding:.1%}",
                    f"{roof.intensity:.1f}",
                    f"{roof.attainable:.1f}",
                    f"{roof.attained / roof.attainable:.1%}" if roof.attainable else "-",
                    roof.bound,
                    f"{row.unit} busy {row.busy_cycles:,} ({row.busy:.1%})" + (f"; {waits}" if waits else ""),
                    ", ".join(f"{step} {cycles:,}" for step, cycles in path),
                )
            )
        return Table("Layer by layer", columns, rows)


def _by_what_is_waited_for(stalls: Mapping[str, float], most: int | None) -> str:
    """Stalls of at least 0.1 %: "token from load (DRAM latency 10.3%, DRAM row 3.8%), DRAM row (1.2%)".

    most: only so many, the largest.
    """
    groups: dict[str, list[str]] = {}
    for wait, share in sorted(stalls.items(), key=lambda item: -item[1])[:most]:
        what, _, cause = wait.partition(", ")
        if share >= 0.001:
            groups.setdefault(what, []).append(f"{cause} {share:.1%}".lstrip())
    return ", ".join(f"{what} ({', '.join(causes)})" for what, causes in groups.items())


def shares_of(unit: str, busy: Mapping[str, int], stalls: Sequence[Stall]) -> tuple[float, dict[str, float]]:
    """Shares of a unit's time in a layer: busy, and waiting by what for and why.

    What follows its last instruction is not counted.
    """
    waits: dict[str, int] = {}
    for stall in stalls:
        if stall.unit == unit and stall.waits_for != "finished":
            same = stall.waits_for == stall.cause
            wait = stall.cause if same else f"{stall.waits_for}, {stall.cause}"
            waits[wait] = waits.get(wait, 0) + stall.cycles
    total = busy[unit] + sum(waits.values())
    if not total:
        return 0.0, {}
    return busy[unit] / total, {wait: cycles / total for wait, cycles in waits.items()}
