"""Accelerators side by side: fields that differ, areas, energies of events, and what they can do at most."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware import (
    DramKind,
    HardwareConfig,
    Technology,
    event_energy_pj,
    load_technology,
    peak_of,
    with_dram,
)
from tvm_vsq.hardware.changes import flat
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.hardware.peak import clock_note
from tvm_vsq.study.compare.columns import letters, side_by_side
from tvm_vsq.terminal import Column, Kind, Printed, Table


@dataclass(frozen=True, repr=False)
class TargetComparison(Printed):
    """Two or more accelerators, by name.

    fields: those that differ, nested ones by dotted path, with the value of each. area_mm2: by component;
    none for one whose technology has no areas, which `area_notes` says. clock_notes: of those whose clock the
    RTL is not known to meet. peak: TOPS, watts, TOPS/W and
    TOPS/mm2 with every multiplier busy (`hardware.peak`). event_pj: energy of one event of each kind that
    costs any.
    """

    hardware: Mapping[str, HardwareConfig]
    technology: Mapping[str, str]
    fields: Mapping[str, Mapping[str, Any]]
    area_mm2: Mapping[str, Mapping[str, float]]
    area_notes: Mapping[str, str]
    clock_notes: Mapping[str, str]
    peak: Mapping[str, Mapping[str, float]]
    event_pj: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(
        cls,
        hardware: Mapping[str, HardwareConfig],
        technology: str | os.PathLike[str] | Technology | None = None,
        dram: str | os.PathLike[str] | DramKind | None = None,
    ) -> TargetComparison:
        """See `tvm_vsq.compare`."""
        tables = {
            name: with_dram(load_technology(technology or each.technology), dram)
            for name, each in hardware.items()
        }
        areas, notes = {}, {}
        for name, each in hardware.items():
            try:
                areas[name] = each.area(tables[name]).by_group()
            except ConfigError as error:
                areas[name], notes[name] = {}, str(error)
        events = {name: event_energy_pj(each, tables[name]) for name, each in hardware.items()}
        return cls(
            hardware,
            {name: table.name for name, table in tables.items()},
            fields_that_differ(hardware),
            areas,
            notes,
            {name: note for name, each in hardware.items() if (note := clock_note(each, tables[name]))},
            {name: _peak(each, tables[name], sum(areas[name].values())) for name, each in hardware.items()},
            {
                event: {name: found[event] for name, found in events.items()}
                for event in EVENTS
                if any(found[event] for found in events.values())
            },
        )

    @property
    def summary(self) -> str:
        """What is compared, and how many fields differ."""
        return f"{', '.join(self.hardware)}: {len(self.fields)} fields differ"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data; whole descriptions too."""
        return {
            "targets": {name: each.model_dump() for name, each in self.hardware.items()},
            "technology": dict(self.technology),
            "fields_that_differ": {field: dict(row) for field, row in self.fields.items()},
            "area_mm2": {name: dict(row) for name, row in self.area_mm2.items()},
            "area_notes": dict(self.area_notes),
            "clock_notes": dict(self.clock_notes),
            "peak": {name: dict(row) for name, row in self.peak.items()},
            "event_pj": {event: dict(row) for event, row in self.event_pj.items()},
        }

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def _parts(self, wide: bool) -> Iterator[Table | str]:
        names = list(self.hardware)
        for letter, name in zip(letters(names), names, strict=True):
            each = self.hardware[name]
            yield f"{letter}: {name}, {each.built_for}, {each.macs_per_cycle} MACs a cycle"
        yield fields_table(self.fields, names)
        peak = {
            heading: [self.peak[name].get(key) for name in names]
            for heading, key in (
                ("TOPS", "tops"),
                ("W", "watts"),
                ("TOPS/W", "tops_per_watt"),
                ("TOPS/mm2", "tops_per_mm2"),
            )
        }
        yield side_by_side("Peak: every multiplier busy, without DRAM", "figure", names, peak, ".4g")
        groups = dict.fromkeys(group for row in self.area_mm2.values() for group in row)
        areas = {group: [self.area_mm2[name].get(group) for name in names] for group in groups}
        if areas:
            whole = [sum(self.area_mm2[name].values()) or None for name in names]
            yield side_by_side("Area in mm2", "component", names, {**areas, "all": whole}, ".4f", last=1)
        yield from (f"no areas of {name}: {note}" for name, note in self.area_notes.items())
        yield from (f"{name}: {note}" for name, note in self.clock_notes.items())
        energies = {event: [row[name] for name in names] for event, row in self.event_pj.items()}
        tables = ", ".join(dict.fromkeys(self.technology.values()))
        yield side_by_side(f"Energy of one event in pJ, by {tables}", "event", names, energies, ".4g")


def fields_that_differ(hardware: Mapping[str, HardwareConfig]) -> dict[str, dict[str, Any]]:
    """The fields of descriptions that are not the same in all, but names: values by name of the target."""
    values = {name: flat(each.model_dump(exclude={"name"})) for name, each in hardware.items()}
    first = next(iter(values.values()))
    rows = {field: {name: fields[field] for name, fields in values.items()} for field in first}
    return {field: row for field, row in rows.items() if len({repr(value) for value in row.values()}) > 1}


def fields_table(fields: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> Table | str:
    """As a table, or the note that there are none."""
    if not fields:
        return "the machines are equal in every field"
    columns = [Column("field", kind=Kind.NAME)]
    columns += [Column(letter, kind=Kind.WORD) for letter in letters(names)]
    rows = [(field, *(_shown(row[name]) for name in names)) for field, row in fields.items()]
    return Table("Fields that differ", columns, rows)


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)


def _peak(hardware: HardwareConfig, technology: Technology, mm2: float) -> dict[str, float]:
    peak = peak_of(hardware, technology)
    found = {"tops": peak.tops, "watts": peak.watts, "tops_per_watt": peak.tops_per_watt}
    return {**found, "tops_per_mm2": peak.tops / mm2} if mm2 else found
