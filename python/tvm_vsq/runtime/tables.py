"""What a conclusion on energy is worth: the same inferences under every table (docs/energy.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tvm_vsq.errors import InputError
from tvm_vsq.hardware import DramKind, Technology, list_technologies, load_technology
from tvm_vsq.runtime.profile import Profile
from tvm_vsq.terminal import Column, Kind, Printed, Table


@dataclass(frozen=True, repr=False)
class EnergyTables(Printed):
    """Energies in pJ by technology, then by inference; the first inference is what ratios are to."""

    energy_pj: Mapping[str, Mapping[str, float]]

    @property
    def ratios(self) -> dict[str, dict[str, float]]:
        """Of each inference to the first one, by technology."""
        return {
            technology: {name: pj / next(iter(row.values())) for name, pj in row.items()}
            for technology, row in self.energy_pj.items()
        }

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """The least and the largest ratio of each inference to the first one, over all technologies."""
        rows = list(self.ratios.values())
        return {name: (min(r[name] for r in rows), max(r[name] for r in rows)) for name in rows[0]}

    @property
    def same_order(self) -> bool:
        """Whether all technologies put the inferences in the same order."""
        return len({tuple(sorted(row, key=row.__getitem__)) for row in self.energy_pj.values()}) == 1

    @property
    def summary(self) -> str:
        """What was compared, and whether the tables agree."""
        names = ", ".join(next(iter(self.energy_pj.values())))
        order = "the same order in all" if self.same_order else "NOT the same order in all"
        return f"{names} under {len(self.energy_pj)} technologies: {order}"

    def _parts(self, wide: bool) -> Iterator[Table | str]:
        names = list(next(iter(self.energy_pj.values())))
        several = len(names) > 1
        title = "energy, uJ (ratio to the first)" if several else "energy, uJ"
        rows = []
        for technology, row in self.energy_pj.items():
            ratios = self.ratios[technology]
            shown = [f" ({ratios[name]:.2f})" if several else "" for name in names]
            cells = [f"{row[name] / 1e6:,.2f}{ratio}" for name, ratio in zip(names, shown, strict=True)]
            rows.append((technology, *cells))
        columns = [Column("technology", kind=Kind.NAME)]
        columns += [Column(name, keep) for keep, name in enumerate(names)]
        yield Table(title, columns, rows)
        if several:
            spread = ", ".join(
                f"{name} {low:.2f} to {high:.2f}" for name, (low, high) in self.intervals.items()
            )
            order = "the same in all" if self.same_order else "NOT the same in all"
            yield f"ratios over all tables: {spread}; the order is {order}"


def compare_tables(
    profiles: Mapping[str, Profile],
    technologies: Sequence[str | os.PathLike[str] | Technology] | None = None,
    dram: str | os.PathLike[str] | DramKind | None = None,
) -> EnergyTables:
    """Energies of inferences under each of `technologies`, all shipped ones if None; nothing is simulated.

    profiles: by names to show. dram: in all tables in place of their own. Raises InputError if there are no
    profiles, or one takes no energy, as nothing of it runs on the accelerator, and for two technologies of
    one name; ConfigError for an unknown technology or DRAM.
    """
    if not isinstance(profiles, Mapping) or not all(
        isinstance(name, str) and isinstance(profile, Profile) for name, profile in profiles.items()
    ):
        raise InputError("compare_tables takes profiles by names to show: {'8 bits': profile, ...}")
    if not profiles:
        raise InputError("compare_tables takes at least one profile")
    for name, profile in profiles.items():
        if not profile.energy_pj:
            raise InputError(
                f"'{name}' takes no energy: nothing of it runs on the accelerator; see explain()"
            )
    tables = [load_technology(t) for t in (list_technologies() if technologies is None else technologies)]
    names = [table.name for table in tables]
    if not names:
        raise InputError("compare_tables takes at least one technology")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"technology {twice[0]} is there {names.count(twice[0])} times; rename one")
    rows = {}
    for table in tables:
        found = {name: profile.with_technology(table, dram) for name, profile in profiles.items()}
        label = next(iter(found.values())).technology.name  # with the DRAM, if that is another
        rows[label] = {name: profile.energy_pj for name, profile in found.items()}
    return EnergyTables(rows)
