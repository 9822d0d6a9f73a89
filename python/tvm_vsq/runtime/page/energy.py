"""What takes the energy: components, and layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvm_vsq.hardware import STANDING, energy_by_part
from tvm_vsq.pages import (
    SERIES,
    Column,
    Figure,
    Paragraph,
    Section,
    Table,
    as_text,
    name_ticks,
    new_figure,
    quantity,
)

if TYPE_CHECKING:
    from tvm_vsq.runtime.profile import Profile


def energy_section(profile: Profile) -> Section:
    """By component, and by component in each layer."""
    parts = sorted(profile.energy_by_part().items(), key=lambda item: -item[1])
    if not parts:
        return Section("Energy", (Paragraph("Nothing runs on the accelerator, which takes no energy."),))
    rows = [(part, pj / 1e3, pj / profile.energy_pj) for part, pj in parts]
    columns = (Column("component"), Column("energy", ",.2f", unit="nJ"), Column("share", ".1%", bar=True))
    total = ("all", profile.energy_pj / 1e3, "")
    without = [part for part in STANDING if part not in dict(parts)]
    missing = f" This technology says nothing of {', '.join(without)}." if without else ""
    text = (
        f"{quantity(profile.energy_pj * 1e-12, 'J')} by `{profile.technology.name}`: counted events, times "
        f"what each takes.{missing}"
    )
    return Section(
        "Energy",
        (
            Paragraph(text),
            Table("Energy by component", columns, rows, total),
            _by_layer(profile, [part for part, _ in parts]),
        ),
    )


def _by_layer(profile: Profile, order: list[str]) -> Figure:
    """A bar a layer, of components in this order."""
    found = [
        energy_by_part(layer.events, profile.hardware, profile.technology, layer.cycles, layer.busy)
        for layer in profile.layers
    ]
    figure, at = new_figure(), list(range(len(profile.layers)))
    for number, part in enumerate(order):
        figure.add_bar(
            x=at,
            y=[parts.get(part, 0.0) / 1e3 for parts in found],
            name=part,
            text=[as_text(layer.name) for layer in profile.layers],
            textposition="none",
            hovertemplate=f"<b>%{{text}}</b><br>{part}: %{{y:,.1f}} nJ<extra></extra>",
            marker={
                "color": SERIES[number % len(SERIES)],
                "pattern": {"shape": "/" if number >= len(SERIES) else "", "size": 5},
            },
        )
    figure.update_layout(barmode="stack", bargap=0.15, legend_traceorder="normal")
    figure.update_xaxes(name_ticks([layer.name for layer in profile.layers]))
    figure.update_yaxes(title="energy, nJ")
    return Figure(figure, "Energy of each layer by component", height=460)
