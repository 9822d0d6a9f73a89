"""Cycles, energy and traffic of one inference, per layer and in total."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tvm_vsq.errors import ConfigError, InputError
from tvm_vsq.files import check_output, write_text
from tvm_vsq.hardware import (
    PARTS_OF_ENERGY,
    Area,
    DramKind,
    HardwareConfig,
    Technology,
    energy_by_part,
    layer_energy,
    load_technology,
    with_dram,
)
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.hardware.peak import clock_note
from tvm_vsq.isa import UNITS
from tvm_vsq.runtime.bottlenecks import (
    Bottleneck,
    Bottlenecks,
    Roofline,
    Stall,
    shares_of,
    stalls_by_layer,
)
from tvm_vsq.runtime.breakdown import component_parts
from tvm_vsq.runtime.causes import causes_of
from tvm_vsq.runtime.memory import MemoryUse, moved_note, ratio_of
from tvm_vsq.runtime.metadata import LayerInfo, Metadata, Placement
from tvm_vsq.runtime.not_counted import NotCounted
from tvm_vsq.runtime.padding import padding_note, padding_of
from tvm_vsq.runtime.timeline import ProgramTrace
from tvm_vsq.runtime.trace_events import trace_json
from tvm_vsq.terminal import Column, Kind, Printed, Table

if TYPE_CHECKING:
    from tvm_vsq.runtime.page import Quality


@dataclass(frozen=True)
class LayerProfile:
    """One accelerator layer of one inference.

    `cycles` is the time from the completion of the layer before it to its own, so that layers add up to
    the total.
    `macs` are useful multiply-accumulates; `padded_macs` what the array did, with channels padded to whole
    vectors, blocks and groups of blocks (`channels` and `padded_channels` of input and output); `padding` is
    the part of its work that this is, 0..1. `utilization` is macs / (cycles * multipliers).
    `dram_bytes` are moved, instructions included; `minimum_dram_bytes` every schedule has to move, and
    `dram_ratio` is the one over the other.
    `events` are counts, and `energy_pj` sums `energy`, which is by kind of event too, and then by what time
    costs: leakage, the clock, DRAM that waits and is refreshed. `busy` are cycles of
    work of each unit, `stalls` the cycles that it did not work, each with its cause; both count for the layer
    of the instruction in hand, or else of the unit's next one.
    """

    name: str
    op: str
    shape: str
    macs: int
    padded_macs: int
    channels: tuple[int, int]
    padded_channels: tuple[int, int]
    padding: float
    cycles: int
    utilization: float
    energy_pj: float
    energy: dict[str, float]
    events: dict[str, int]
    dram_bytes: int
    minimum_dram_bytes: int
    dram_ratio: float
    instructions: int
    tuned: bool
    roofline: Roofline
    busy: dict[str, int]
    stalls: tuple[Stall, ...]


@dataclass(frozen=True, repr=False)
class Profile(Printed):
    """What one inference did on the accelerator.

    CPU operators take no part in cycles, energy and traffic; `not_counted` says how much they do. `memory` is
    the DRAM of the programs. Constants, inputs and results are `on_chip_minimum_dram_bytes`, what any
    schedule moves even if nothing between layers leaves the chip.
    """

    target: str
    notation: str
    clock_mhz: int
    outputs: Any = field(compare=False)
    layers: tuple[LayerProfile, ...]
    not_counted: NotCounted
    memory: MemoryUse
    on_chip_minimum_dram_bytes: int
    hardware: HardwareConfig
    technology: Technology
    placements: tuple[Placement, ...] = field(repr=False)
    _traces: Callable[[int], list[ProgramTrace]] = field(repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        # The programs stay in the process that simulated them.
        return {**self.__dict__, "_traces": _no_traces}

    @property
    def has_programs(self) -> bool:
        """Whether `why`, `to_trace` and the timeline of `to_html` can be had: not after pickling."""
        return self._traces is not _no_traces

    @property
    def cycles(self) -> int:
        """Clock cycles of all accelerator programs of the inference."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def energy_pj(self) -> float:
        """Energy of all counted events, in picojoule."""
        return sum(layer.energy_pj for layer in self.layers)

    @property
    def dram_bytes(self) -> int:
        """Bytes moved between DRAM and chip, instructions included."""
        return sum(layer.dram_bytes for layer in self.layers)

    @property
    def minimum_dram_bytes(self) -> int:
        """What any schedule moves, layer by layer: constants, what a layer reads and its result once."""
        return sum(layer.minimum_dram_bytes for layer in self.layers)

    @property
    def dram_ratio(self) -> float:
        """Bytes moved over the minimum of the layers."""
        return ratio_of(self.dram_bytes, self.minimum_dram_bytes)

    @property
    def arena_bytes(self) -> int:
        """DRAM that inputs, results and what lies between layers take."""
        return self.memory.arena_bytes

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates."""
        return sum(layer.macs for layer in self.layers)

    @property
    def padded_macs(self) -> int:
        """Multiply-accumulates of the array, padding included."""
        return sum(layer.padded_macs for layer in self.layers)

    @property
    def padding(self) -> float:
        """Part of the array's work that is padding, 0..1."""
        return padding_of(self.macs, self.padded_macs)

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be said beside the totals: work that they leave out or that is padding, a clock that is
        not known to be met, and overlap.
        """
        early = next((layer for layer in self.layers if layer.utilization > 1), None)
        found = [
            str(self.not_counted),
            padding_note(self.layers, self.hardware.macs_per_cycle),
            clock_note(self.hardware, self.technology),
        ]
        if early is not None:
            found.append(
                f"above 100%, as '{early.name}': a layer's cycles are those from the end of the layer before "
                "it, by which part of its work was done"
            )
        return tuple(filter(None, found))

    @property
    def engine_busy(self) -> dict[str, int]:
        """Cycles of work of fetch and of each engine."""
        return {unit: sum(layer.busy[unit] for layer in self.layers) for unit in UNITS}

    @property
    def engine_stalled(self) -> dict[str, int]:
        """Cycles in which fetch and each engine waited for anything but their next instruction."""
        without = ("instruction", "finished")
        return {
            unit: sum(
                stall.cycles
                for layer in self.layers
                for stall in layer.stalls
                if stall.unit == unit and stall.waits_for not in without
            )
            for unit in UNITS
        }

    @property
    def utilization(self) -> float:
        """Useful multiply-accumulates over what the array could have done in these cycles."""
        return self.macs / (self.cycles * self.hardware.macs_per_cycle) if self.cycles else 0.0

    @property
    def milliseconds(self) -> float:
        """Simulated time at the configured clock."""
        return self.cycles / (self.clock_mhz * 1e3)

    def with_technology(
        self,
        technology: str | os.PathLike[str] | Technology,
        dram: str | os.PathLike[str] | DramKind | None = None,
    ) -> Profile:
        """This inference in another process: cycles and events stay, energies are those of `technology`.

        technology: the name of a shipped one, the path of a YAML file, or a Technology. dram: likewise, in
        place of the DRAM that the technology names. Raises ConfigError where there is no such one.
        """
        table = with_dram(load_technology(technology), dram)
        layers = []
        for layer in self.layers:
            energy = layer_energy(layer.events, self.hardware, table, layer.cycles, layer.busy)
            layers.append(replace(layer, energy=energy, energy_pj=sum(energy.values())))
        return replace(self, layers=tuple(layers), technology=table)

    def energy_by_part(self) -> dict[str, float]:
        """Energy in pJ of scratchpads, MACs, scale units, PPU, DRAM, leakage, ...: all of `energy_pj`.

        Under another table: `profile.with_technology(...).energy_by_part()`. What takes none is left out.
        """
        parts = dict.fromkeys(PARTS_OF_ENERGY, 0.0)
        for layer in self.layers:
            found = energy_by_part(layer.events, self.hardware, self.technology, layer.cycles, layer.busy)
            for part, pj in found.items():
                parts[part] += pj
        return {part: pj for part, pj in parts.items() if pj}

    def area(self) -> Area:
        """What the accelerator takes on a chip, by component.

        Raises ConfigError if the technology of this profile has no areas.
        """
        return self.hardware.area(self.technology)

    @property
    def area_mm2(self) -> float | None:
        """All of `area`; None if the technology has none."""
        return self._area_or_reason()[0]

    def _area_or_reason(self) -> tuple[float | None, str | None]:
        try:
            return self.area().mm2, None
        except ConfigError as error:
            return None, str(error)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the outputs, as plain data.

        `area_mm2` is null where there are no areas, and `no_area` then says why.
        """
        area, no_area = self._area_or_reason()
        return {
            "target": self.target,
            "notation": self.notation,
            "cycles": self.cycles,
            "milliseconds": self.milliseconds,
            "energy_pj": self.energy_pj,
            "technology": self.technology.name,
            "energy_by_part_pj": self.energy_by_part(),
            "area_mm2": area,
            "no_area": no_area,
            "macs": self.macs,
            "padded_macs": self.padded_macs,
            "padding": self.padding,
            "utilization": self.utilization,
            "dram_bytes": self.dram_bytes,
            "minimum_dram_bytes": self.minimum_dram_bytes,
            "dram_ratio": self.dram_ratio,
            "on_chip_minimum_dram_bytes": self.on_chip_minimum_dram_bytes,
            "memory": self.memory.to_dict(),
            "engine_busy_cycles": self.engine_busy,
            "engine_stalled_cycles": self.engine_stalled,
            "not_counted": self.not_counted.to_dict(),
            "layers": [asdict(layer) for layer in self.layers],
        }

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def why(self, unit: str | None = None) -> Bottlenecks:
        """Why each layer takes its cycles: stalls of `unit`, roofline, share of the critical path.

        unit: fetch, or an engine; None: in each layer the engine that works in it, `Roofline.unit`.
        Prints the three largest causes of the whole network, then a table. Layers overlap, so the critical
        path of a layer may be longer or shorter than its cycles; all together they are the same.
        Raises InputError for another unit.
        """
        if unit not in (None, *UNITS):
            raise InputError(f"unit={unit!r} is not known; the units are {', '.join(UNITS)}")
        traces = self._traces(1)
        paths = [cycles for trace in traces for cycles in trace.critical_cycles()]
        rows = []
        for layer, critical in zip(self.layers, paths, strict=True):
            own = layer.roofline.unit if unit is None else unit
            busy, waits = shares_of(own, layer.busy, layer.stalls)
            rows.append(
                Bottleneck(
                    layer.name,
                    layer.cycles,
                    layer.roofline,
                    layer.padding,
                    own,
                    layer.busy[own],
                    busy,
                    waits,
                    critical,
                )
            )
        return Bottlenecks(rows, self.notes, causes_of(traces, self.layers, self.hardware))

    def to_trace(self, path: str | Path, *, max_slices: int = 60_000, max_bins: int = 2_000) -> None:
        """Write a timeline (Chrome trace JSON) that ui.perfetto.dev opens.

        Tracks are fetch, the engines and the critical path, with instructions named after their layer; those
        that move data say of which scratchpad, and how many bytes. Counters are DRAM bandwidth, power and
        scratchpad occupancy. Programs follow each other without the CPU's time. What is longer is aggregated,
        so that the file has about ten megabytes at most: neighbouring instructions of a layer share a slice,
        until all tracks together have at most `max_slices`, where layers do not alternate more often, and
        each counter has at most `max_bins` values, but one of each program.

        Raises InputError if a limit is out of range or the file cannot be written.
        """
        for name, value in (("max_slices", max_slices), ("max_bins", max_bins)):
            if type(value) is not int or not 1 <= value <= 1_000_000:
                raise InputError(f"{name}={value!r}: give an integer from 1 to 1000000")
        text = trace_json(self._traces(max_bins), self.hardware, self.technology, max_slices)
        write_text(path, text)

    def to_html(self, path: str | Path, *, quality: Quality | None = None, title: str | None = None) -> None:
        """Write a page that a person reads: one file, which needs no network.

        It says what limits the inference, with a roofline, tables that sort, energy and area by component,
        stalls, a timeline, what ran where and why, and a glossary.
        quality: what `tvm_vsq.quantization_report` returns for the same network; shown by layer, too.
        title: the page's; by default, the target and its format.
        Raises ToolError without the extra `report`, InputError if `quality` is something else or the file
        cannot be written.
        """
        from tvm_vsq.runtime.page import profile_page

        target = check_output(path)
        profile_page(self, quality, title).write(target)

    @property
    def summary(self) -> str:
        """The totals in one line."""
        return (
            f"{self.target} {self.hardware.built_for}: {self.cycles:,} cycles ({self.milliseconds:.3f} ms at "
            f"{self.clock_mhz} MHz), {self.energy_pj / 1e6:.2f} uJ, {self.utilization:.1%} MAC utilization, "
            f"{self.dram_bytes:,} DRAM bytes"
        )

    def _parts(self, wide: bool) -> Iterator[Table | str]:
        yield self._table()
        yield from self.notes
        yield moved_note(self.dram_bytes, self.minimum_dram_bytes, self.on_chip_minimum_dram_bytes)
        yield str(self.memory)
        yield from component_parts(self)

    def _table(self) -> Table:
        columns = (
            Column("layer", kind=Kind.NAME),
            Column("op", 4, Kind.WORD),
            Column("input > output (padded), kernel", 8, Kind.TEXT),
            Column("MACs", 6),
            Column("cycles"),
            Column("share", 1),
            Column("util.", 1),
            Column("padding", 2),
            Column("energy nJ", 1),
            Column("DRAM B", 1),
            Column("/ min.", 5),
            Column("instr.", 7),
            Column("knobs", 3, Kind.WORD),
        )
        rows = [
            (
                layer.name,
                layer.op,
                layer.shape,
                f"{layer.macs:,}",
                f"{layer.cycles:,}",
                f"{layer.cycles / max(1, self.cycles):.1%}",
                f"{layer.utilization:.1%}",
                f"{layer.padding:.1%}",
                f"{layer.energy_pj / 1e3:,.1f}",
                f"{layer.dram_bytes:,}",
                f"{layer.dram_ratio:.2f}",
                f"{layer.instructions:,}",
                "tuned" if layer.tuned else "default",
            )
            for layer in self.layers
        ]
        return Table(self.summary, columns, rows)


def _no_traces(_max_bins: int) -> list[ProgramTrace]:
    raise InputError("a profile that was pickled has no programs: ask why() and to_trace() before")


def build_profile(
    runs: Sequence[Mapping[str, Any]],
    metadata: Metadata,
    technology: Technology,
    outputs: Any,
    traces: Callable[[int], list[ProgramTrace]],
) -> Profile:
    """Join the simulator's counters (`get_timing`) with the artifact's layers.

    `traces` makes the time axes of the runs, with at most so many bins each.
    """
    rows, hardware = [], metadata.hardware
    for run in runs:
        infos = [layer for layer in metadata.layers if layer.program == str(run["name"])]
        stalls, previous = stalls_by_layer(run), 0
        for number, (info, end) in enumerate(zip(infos, run["layer_end"], strict=True)):
            # Engines overlap layers: one that ends before its predecessor took no time of its own.
            cycles = max(0, int(end) - previous)
            previous = max(previous, int(end))
            rows.append(
                _layer_profile(info, run, number, cycles, stalls.get(number, ()), hardware, technology)
            )
    return Profile(
        hardware.label,
        hardware.notation,
        hardware.clock_mhz,
        outputs,
        tuple(rows),
        NotCounted.of(metadata.placements, sum(row.macs for row in rows)),
        MemoryUse.of(metadata.programs),
        sum(program.on_chip_minimum_dram_bytes for program in metadata.programs),
        hardware,
        technology,
        metadata.placements,
        traces,
    )


def _layer_profile(
    info: LayerInfo,
    run: Mapping[str, Any],
    number: int,
    cycles: int,
    stalls: tuple[Stall, ...],
    hardware: HardwareConfig,
    technology: Technology,
) -> LayerProfile:
    events = {name: int(count) for name, count in zip(EVENTS, run["events"][number], strict=True)}
    busy = {unit: int(count) for unit, count in zip(UNITS, run["busy"][number], strict=True)}
    energy = layer_energy(events, hardware, technology, cycles, busy)
    padded = events["macs"] + events["window_macs"]
    peak, moved = hardware.macs_per_cycle, events["dram_read_bytes"] + events["dram_write_bytes"]
    return LayerProfile(
        name=info.name,
        op=info.op,
        shape=info.shape,
        macs=info.macs,
        padded_macs=padded,
        channels=info.channels,
        padded_channels=info.padded_channels,
        padding=padding_of(info.macs, padded),
        cycles=cycles,
        utilization=info.macs / (cycles * peak) if cycles else 0.0,
        energy_pj=sum(energy.values()),
        energy=energy,
        events=events,
        dram_bytes=moved,
        minimum_dram_bytes=info.minimum_dram_bytes,
        dram_ratio=ratio_of(moved, info.minimum_dram_bytes),
        instructions=events["instructions"],
        tuned=info.tuned,
        roofline=Roofline.of(events, busy, cycles, hardware),
        busy=busy,
        stalls=stalls,
    )
