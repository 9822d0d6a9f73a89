"""Inferences of one network side by side."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tvm_vsq.hardware.peak import clock_note
from tvm_vsq.runtime import Profile
from tvm_vsq.runtime.breakdown import area_by_group
from tvm_vsq.study.compare.columns import change, letters, side_by_side
from tvm_vsq.study.compare.reasons import Pair, reasons
from tvm_vsq.study.compare.rows import LayerRow, matched
from tvm_vsq.study.compare.targets import fields_table, fields_that_differ
from tvm_vsq.terminal import Column, Kind, Printed, Table

_TOTALS = {
    "cycles": ("cycles", ",.0f"),
    "milliseconds": ("milliseconds", ".4f"),
    "energy_uj": ("energy uJ", ",.2f"),
    "utilization": ("MAC utilization", ".1%"),
    "padding": ("padding", ".1%"),
    "dram_bytes": ("DRAM bytes", ",.0f"),
    "dram_ratio": ("times the least bytes", ".2f"),
    "cpu_macs": ("MACs on the CPU", ",.0f"),
    "layers": ("layers", ",.0f"),
    "tuned_layers": ("tuned layers", ",.0f"),
    "area_mm2": ("area mm2", ".3f"),
}
"""How figures of `Comparison.totals` are shown."""


@dataclass(frozen=True, repr=False)
class Comparison(Printed):
    """Two or more inferences of one network, by name; all are compared with the first.

    layers: matched by name, in the order of the first; a layer that some profile joins to another one is a
    row with that. reasons: of each but the first, what makes the difference, in sentences. fields: of the
    accelerators' descriptions, those that differ.
    """

    profiles: Mapping[str, Profile]
    layers: tuple[LayerRow, ...]
    reasons: Mapping[str, tuple[str, ...]]
    fields: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, profiles: Mapping[str, Profile]) -> Comparison:
        """See `tvm_vsq.compare`. Raises InputError for different networks, or a profile that was pickled."""
        rows = matched(profiles)
        first, *others = profiles
        found = {
            other: reasons(Pair(first, other, profiles[first], profiles[other], rows)) for other in others
        }
        fields = fields_that_differ({name: profile.hardware for name, profile in profiles.items()})
        return cls(profiles, rows, found, fields)

    @property
    def totals(self) -> dict[str, dict[str, float | None]]:
        """Figures of whole inferences by name: cycles, milliseconds, energy_uj, utilization and padding
        (0..1), dram_bytes, dram_ratio, cpu_macs (multiply-accumulates on the CPU), layers, tuned_layers,
        area_mm2 (None where the technology has no areas).
        """
        rows: dict[str, dict[str, float | None]] = {}
        for name, profile in self.profiles.items():
            figures = {
                "cycles": profile.cycles,
                "milliseconds": profile.milliseconds,
                "energy_uj": profile.energy_pj / 1e6,
                "utilization": profile.utilization,
                "padding": profile.padding,
                "dram_bytes": profile.dram_bytes,
                "dram_ratio": profile.dram_ratio,
                "cpu_macs": profile.not_counted.macs,
                "layers": len(profile.layers),
                "tuned_layers": sum(layer.tuned for layer in profile.layers),
                "area_mm2": sum(area_by_group(profile)[0].values()) or None,
            }
            for figure, value in figures.items():
                rows.setdefault(figure, {})[name] = value
        return rows

    @property
    def energy_pj(self) -> dict[str, dict[str, float]]:
        """By component, then by name; 0 where one takes none."""
        found = {name: profile.energy_by_part() for name, profile in self.profiles.items()}
        parts = dict.fromkeys(part for row in found.values() for part in row)
        return {part: {name: row.get(part, 0.0) for name, row in found.items()} for part in parts}

    @property
    def area_mm2(self) -> dict[str, dict[str, float]]:
        """By component, then by name; 0 where one has none, or its technology has no areas."""
        found = {name: area_by_group(profile)[0] for name, profile in self.profiles.items()}
        parts = dict.fromkeys(part for row in found.values() for part in row)
        return {part: {name: row.get(part, 0.0) for name, row in found.items()} for part in parts}

    @property
    def summary(self) -> str:
        """How cycles and energy differ from the first."""
        first, *others = self.profiles.items()
        ratios = [
            f"{name} {change(first[1].cycles, each.cycles)} cycles, "
            f"{change(first[1].energy_pj, each.energy_pj)} energy"
            for name, each in others
        ]
        return f"beside {first[0]}: {'; '.join(ratios)}"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data; a layer that an inference has not on the accelerator is null there."""
        names = list(self.profiles)
        return {
            "names": names,
            "targets": {name: profile.target for name, profile in self.profiles.items()},
            "technology": {name: profile.technology.name for name, profile in self.profiles.items()},
            "totals": self.totals,
            "reasons": {name: list(found) for name, found in self.reasons.items()},
            "layers": [
                {"name": row.name, **{name: _layer(row, name) for name in names}} for row in self.layers
            ],
            "energy_pj": self.energy_pj,
            "area_mm2": self.area_mm2,
            "fields_that_differ": {field: dict(row) for field, row in self.fields.items()},
        }

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def to_html(
        self, path: str | os.PathLike[str], *, plotly: Literal["inline", "beside"] = "inline"
    ) -> None:
        """Write a self-contained page: reasons, layers, components, fields.

        plotly: "beside" refers to a file `plotly.min.js` in the page's folder. Raises ToolError without
        plotly (the extra `report`), InputError if the file cannot be written.
        """
        from tvm_vsq.study.compare.page import comparison_page

        comparison_page(self).write(path, plotly)

    def _parts(self, wide: bool) -> Iterator[Table | str]:
        names = list(self.profiles)
        for letter, name in zip(letters(names), names, strict=True):
            profile = self.profiles[name]
            formats = profile.hardware.built_for
            yield f"{letter}: {name}, {profile.target} {formats}, {profile.technology.name}"
        yield self._totals_table()
        for other, found in self.reasons.items():
            yield f"What makes the difference between '{names[0]}' and '{other}':"
            yield from (f"- {sentence}" for sentence in found)
        yield self._layers_table()
        yield fields_table(self.fields, names)
        yield self._components_table("Energy in nJ", self.energy_pj, 1e-3, ",.1f")
        if areas := self.area_mm2:
            yield self._components_table("Area in mm2", areas, 1.0, ".4f")
        notes = [area_by_group(profile)[1] for profile in self.profiles.values()]
        notes += [clock_note(profile.hardware, profile.technology) for profile in self.profiles.values()]
        yield from filter(None, dict.fromkeys(notes))

    def _totals_table(self) -> Table:
        totals = self.totals
        rows = {heading: list(totals[key].values()) for key, (heading, _) in _TOTALS.items()}
        styles = dict(_TOTALS.values())
        return side_by_side("Totals of one inference", "total", list(self.profiles), rows, styles)

    def _layers_table(self) -> Table:
        names, marks = list(self.profiles), letters(list(self.profiles))
        columns = [Column("layer", kind=Kind.NAME)]
        for heading, keep in (("cycles", 0), ("nJ", 1), ("bytes", 2), ("knobs", 3)):
            kind = Kind.WORD if heading == "knobs" else Kind.NUMBER
            columns += [Column(f"{heading} {mark}", 10 * keep + at, kind) for at, mark in enumerate(marks)]
            if heading == "cycles":
                columns += [Column(f"{mark} to A", at) for at, mark in enumerate(marks) if at]
        rows = []
        for row in self.layers:
            cycles = [row.cycles(name) if row.layers[name] else None for name in names]
            cells = [
                *("-" if value is None else f"{value:,}" for value in cycles),
                *(change(cycles[0], value) for value in cycles[1:]),
                *(f"{row.energy_pj(name) / 1e3:,.1f}" if row.layers[name] else "-" for name in names),
                *(f"{row.dram_bytes(name):,}" if row.layers[name] else "-" for name in names),
                *(_knobs(row, name) for name in names),
            ]
            rows.append((row.name, *cells))
        return Table("Layers by name: cycles, energy, DRAM bytes, schedule", columns, rows)

    def _components_table(
        self, title: str, parts: Mapping[str, Mapping[str, float]], factor: float, style: str
    ) -> Table:
        names = list(self.profiles)
        order = sorted(parts, key=lambda part: -max(parts[part].values()))
        rows = {part: [factor * parts[part][name] or None for name in names] for part in order}
        rows["all"] = [factor * sum(row[name] for row in parts.values()) or None for name in names]
        return side_by_side(title, "component", names, rows, style, last=1)


def _knobs(row: LayerRow, name: str) -> str:
    if not row.layers[name]:
        return "-"
    return "tuned" if row.tuned(name) else "default"


def _layer(row: LayerRow, name: str) -> dict[str, Any] | None:
    if not row.layers[name]:
        return None
    return {
        "cycles": row.cycles(name),
        "energy_pj": row.energy_pj(name),
        "dram_bytes": row.dram_bytes(name),
        "minimum_dram_bytes": row.minimum_dram_bytes(name),
        "macs": row.macs(name),
        "tuned": row.tuned(name),
    }
