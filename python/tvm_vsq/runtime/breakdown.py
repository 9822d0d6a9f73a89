"""Energy and area by component, side by side: both add up by the same groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware import STANDING
from tvm_vsq.terminal import Column, Kind, Table

if TYPE_CHECKING:
    from tvm_vsq.runtime.profile import Profile


def component_parts(profile: Profile) -> Iterator[Table | str]:
    """A row for each component that takes energy or area; what the technology has no numbers for is said."""
    energy = profile.energy_by_part()
    area, note = area_by_group(profile)
    mm2 = sum(area.values())
    parts = sorted({*energy, *area}, key=lambda part: (-energy.get(part, 0), -area.get(part, 0)))
    columns = [Column("component", kind=Kind.WORD), Column("energy pJ"), Column("% of energy", 1)]
    columns += [Column("area mm2", 2), Column("% of area", 3)] if area else []

    def cells(name: str, pj: float, own: float) -> tuple[str, ...]:
        of_energy = (f"{pj:,.0f}", f"{_share(pj, profile.energy_pj):.1%}") if pj else ("-", "-")
        of_area = (f"{own:.4f}", f"{_share(own, mm2):.1%}") if own else ("-", "-")
        return (name, *of_energy, *(of_area if area else ()))

    rows = [cells(part, energy.get(part, 0.0), area.get(part, 0.0)) for part in parts]
    rows.append(cells("all", profile.energy_pj, mm2))
    yield Table(f"Components, by {profile.technology.name}", columns, rows, last=1)
    if not energy:
        yield "no energy, as nothing runs on the accelerator"
    elif without := [part for part in STANDING if part not in energy]:
        yield f"no energy in {profile.technology.name} of {', '.join(without)}: the table has no numbers"
    if note:
        yield note


def area_by_group(profile: Profile) -> tuple[dict[str, float], str]:
    """mm2 of each group of components; or none, and why."""
    try:
        return profile.area().by_group(), ""
    except ConfigError as error:
        return {}, f"no areas: {error}"


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
