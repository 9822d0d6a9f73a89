"""A comparison of inferences as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tvm_vsq.pages import (
    SERIES,
    Cell,
    Column,
    Fact,
    Figure,
    Page,
    Paragraph,
    Section,
    Table,
    glossary,
    new_figure,
)
from tvm_vsq.study.compare.columns import change

if TYPE_CHECKING:
    from tvm_vsq.study.compare.comparison import Comparison

_LEAST_HEIGHT, _OF_A_LAYER = 260, 16  # CSS pixels, the second of each bar


def comparison_page(found: Comparison) -> Page:
    """Reasons first, then layers, components and fields."""
    names = list(found.profiles)
    machines = {name: f"{each.target} {each.notation}" for name, each in found.profiles.items()}
    targets = ", ".join(f"{name}: {machine}" for name, machine in machines.items())
    reasons = [
        part
        for other, sentences in found.reasons.items()
        for part in (Paragraph(f"From `{names[0]}` to `{other}`:"), *map(Paragraph, sentences))
    ]
    columns = [Column("layer")]
    for name in names:
        columns += [
            Column(f"cycles, {name}", ",.0f"),
            Column(f"energy, {name}", ",.1f", unit="nJ"),
            Column(f"DRAM, {name}", ",.0f", unit="bytes"),
        ]
    rows: list[list[Cell]] = []
    for row in found.layers:
        cells: list[Cell] = [row.name]
        for name in names:
            figures = (row.cycles(name), row.energy_pj(name) / 1e3, row.dram_bytes(name))
            cells += figures if row.layers[name] else (None, None, None)
        rows.append(cells)
    fields = [
        [field, *(None if row[name] is None else str(row[name]) for name in names)]
        for field, row in found.fields.items()
    ]
    return Page(
        f"{' and '.join(names)} compared",
        f"One network on {targets}; {found.summary}.",
        facts=tuple(_facts(found)),
        sections=(
            Section("What makes the difference", reasons),
            Section("Layers", (_bars(found), Table("Layers by name", columns, rows))),
            Section(
                "Components",
                (
                    _by_name("Energy", "nJ", ",.1f", found.energy_pj, 1e-3),
                    *([_by_name("Area", "mm2", ".4f", found.area_mm2, 1.0)] if found.area_mm2 else []),
                ),
            ),
            Section(
                "Accelerators",
                (
                    Table("Fields that differ", [Column("field"), *map(Column, names)], fields)
                    if fields
                    else Paragraph("The accelerators are equal in every field."),
                ),
            ),
            Section(
                "Glossary",
                (
                    glossary(
                        "critical path", "cycle", "DRAM", "padding", "schedule", "scratchpad", "W/A/ws/as"
                    ),
                ),
            ),
        ),
    )


def _facts(found: Comparison) -> Iterator[Fact]:
    first = next(iter(found.profiles.values()))
    for name, each in found.profiles.items():
        beside = "" if each is first else f" ({change(first.cycles, each.cycles)})"
        energy = "" if each is first else f" ({change(first.energy_pj, each.energy_pj)})"
        yield Fact(name, f"{each.cycles:,} cycles{beside}", f"{each.energy_pj / 1e6:,.2f} uJ{energy}")


def _bars(found: Comparison) -> Figure:
    figure, names = new_figure(), list(found.profiles)
    layers = [row.name for row in found.layers]
    for name, colour in zip(names, SERIES, strict=False):
        cycles = [row.cycles(name) for row in found.layers]
        figure.add_bar(y=layers, x=cycles, name=name, orientation="h", marker={"color": colour})
    figure.update_layout(barmode="group", xaxis_title="cycles")
    figure.update_yaxes(autorange="reversed", type="category")
    height = _LEAST_HEIGHT + _OF_A_LAYER * len(layers) * len(names)
    return Figure(figure, f"cycles of each layer in {', '.join(names)}", height=height)


def _by_name(
    caption: str, unit: str, spec: str, parts: Mapping[str, Mapping[str, float]], factor: float
) -> Table:
    names = list(next(iter(parts.values()), {}))
    columns = [Column("component"), *(Column(name, spec, unit=unit) for name in names)]
    rows: list[list[Any]] = [
        [part, *(factor * row[name] or None for name in names)] for part, row in parts.items()
    ]
    total: list[Cell] = ["all", *(factor * sum(row[name] for row in parts.values()) for name in names)]
    return Table(f"{caption} by component", columns, rows, total)
