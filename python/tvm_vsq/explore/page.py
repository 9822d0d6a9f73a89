"""A sweep as a page: the front, in which each point opens its tables, and all points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tvm_vsq.explore.goals import COSTS, Objective
from tvm_vsq.explore.plot import axes_of, front_of, titled
from tvm_vsq.explore.result import SweepResult
from tvm_vsq.pages import (
    SERIES,
    Cell,
    Code,
    Column,
    Details,
    Fact,
    Figure,
    Link,
    Page,
    Paragraph,
    Part,
    Section,
    Table,
    glossary,
    new_figure,
)

Row = Mapping[str, Any]
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "x", "pentagon")


def page_of(result: SweepResult) -> Page:
    """The page of `result`. Raises ToolError without the extra [report]."""
    measured = [place for place, row in enumerate(result.rows) if row.get("cycles") is not None]
    rest = [row for row in result.rows if row.get("cycles") is None]
    sections = [Section("Pareto front", list(_front(result, measured)))]
    sections.append(
        Section(
            "All points", [_points(result, measured, "Points that were measured"), *_refused(result, rest)]
        )
    )
    if measured:
        sections.append(Section("Each point", [_details(result, place) for place in measured]))
    terms = "W/A/ws/as", "vector size", "Pareto front", "utilization", "MAC"
    sections.append(Section("Glossary", [glossary(*terms)]))
    return Page("Sweep", _summary(result, measured), sections, list(_facts(result, measured)))


def _summary(result: SweepResult, measured: Sequence[int]) -> str:
    front = [row for row in result.rows if row["pareto"]]
    feasible = sum(row["feasible"] for row in result.rows)
    text = f"Of {len(result.rows)} points {len(measured)} were measured, {feasible} are feasible"
    if result.constraints:
        text += f" ({', '.join(each.text for each in result.constraints)})"
    names = ", ".join(_aim(each) for each in result.objectives)
    return f"{text}, and {len(front)} are on the Pareto front of {names}."


def _facts(result: SweepResult, measured: Sequence[int]) -> Iterator[Fact]:
    for name, value in result.fp32.items():
        yield Fact(f"{name} in fp32", f"{value:.4g}", "the network before it was quantized")
    feasible = [row for row in result.rows if row["feasible"]]
    for each in result.objectives:
        own = [row for row in feasible if row.get(each.name) is not None]
        if own:
            best = (max if each.maximize else min)(own, key=lambda row: float(row[each.name]))
            yield Fact(_aim(each), _number(each.name, best[each.name]), _name(result, best))


def _aim(objective: Objective) -> str:
    return f"{'most' if objective.maximize else 'least'} {titled(objective.name).partition(',')[0]}"


def _number(name: str, value: float) -> str:
    cost = COSTS.get(name)
    return f"{value:{cost.spec}} {cost.unit}".rstrip() if cost else f"{value:.4g}"


def _front(result: SweepResult, measured: Sequence[int]) -> Iterator[Part]:
    x, y = axes_of(result)
    shown = [place for place in measured if result.rows[place].get(x) is not None]
    shown = [place for place in shown if result.rows[place].get(y) is not None]
    yield Paragraph(
        f"{titled(y)} over {titled(x)}. A click on a point opens its tables; points that break a constraint "
        "are faint."
    )
    figure: Any = new_figure()
    by = result.axes[0]
    for number, label in enumerate(dict.fromkeys(result.rows[place].get(by) for place in shown)):
        own = [place for place in shown if result.rows[place].get(by) == label]
        rows = [result.rows[place] for place in own]
        figure.add_scatter(
            x=[row[x] for row in rows],
            y=[row[y] for row in rows],
            mode="markers",
            name=str(label),
            customdata=[f"point-{place}" for place in own],
            text=[_name(result, row) for row in rows],
            hovertemplate="%{text}<br>" + f"{x} %{{x:,.4~g}}<br>{y} %{{y:,.4~g}}<extra></extra>",
            marker={
                "color": SERIES[number % len(SERIES)],
                "symbol": _SYMBOLS[number // len(SERIES) % len(_SYMBOLS)],
                "size": 9,
                "opacity": [0.9 if row["feasible"] else 0.25 for row in rows],
            },
        )
    line = front_of(result, [result.rows[place] for place in shown], x, y)
    figure.add_scatter(
        x=[row[x] for row in line], y=[row[y] for row in line], mode="lines", name="front", hoverinfo="skip"
    )
    if y in result.fp32:
        figure.add_hline(result.fp32[y], line_dash="dash", line_width=1, annotation_text="fp32")
    figure.update_layout(xaxis_title=titled(x), yaxis_title=titled(y), legend_title_text=by, showlegend=True)
    yield Figure(figure, f"{titled(y)} over {titled(x)}, a point for each design", height=480)
    front = [place for place in measured if result.rows[place]["pareto"]]
    yield _points(result, front, "On the front")
    for note in result.notes:
        yield Paragraph(note)
    left_out = dict.fromkeys(result.rows[place]["not_counted"] for place in measured)
    if left_out:
        yield Details(
            "What no cost counts: the CPU", [Paragraph(text) for text in left_out], name="not-counted"
        )


def _points(result: SweepResult, places: Sequence[int], caption: str) -> Table:
    columns = [Column("point"), *(Column(axis) for axis in result.axes)]
    columns += [Column(name, ".4g") for name in result.metrics]
    columns += [Column(cost.title, cost.spec, cost.unit, cost.what) for cost in COSTS.values()]
    columns += [Column("feasible"), Column("front")]
    rows = []
    for place in places:
        row = result.rows[place]
        cells = [_cell(row.get(axis)) for axis in result.axes]
        cells += [row.get(name) for name in (*result.metrics, *COSTS)]
        cells += ["yes" if row[name] else "no" for name in ("feasible", "pareto")]
        rows.append([Link(f"{place}", f"point-{place}"), *cells])
    return Table(caption, columns, rows)


def _refused(result: SweepResult, rows: Sequence[Row]) -> Iterator[Part]:
    if rows:
        columns = [*(Column(axis) for axis in result.axes), Column("why there are no costs")]
        cells = [[*(_cell(row.get(axis)) for axis in result.axes), row["error"]] for row in rows]
        yield Details(f"{len(rows)} points that were not measured", [Table("Not measured", columns, cells)])


def _details(result: SweepResult, place: int) -> Details:
    row = result.rows[place]
    layers = Table(
        "Layers",
        (
            Column("layer"),
            Column("op"),
            Column("shape"),
            Column("MACs", ",d"),
            Column("cycles", ",d"),
            Column("share", ".1%", bar=True),
            Column("MAC util.", ".1%"),
            Column("energy", ",.1f", unit="nJ"),
            Column("DRAM", ",d", unit="B"),
            Column("bound by"),
        ),
        [
            [
                layer["name"],
                layer["op"],
                layer["shape"],
                layer["macs"],
                layer["cycles"],
                layer["cycles"] / max(1, row["cycles"]),
                layer["utilization"],
                layer["energy_pj"] / 1e3,
                layer["dram_bytes"],
                layer["bound"],
            ]
            for layer in row["layers"]
        ],
    )
    energy = _parts("Energy by component", row["energy_by_part_pj"], 1e-6, "µJ")
    parts: list[Part] = [layers, energy]
    if row.get("area_by_group_mm2"):
        parts.append(_parts("Area by component", row["area_by_group_mm2"], 1, "mm²"))
    parts.append(Code(f"result.point({place})  # the QuantConfig and the HardwareConfig of this point"))
    return Details(f"Point {place}: {_name(result, row)}", parts, name=f"point-{place}")


def _parts(caption: str, parts: Mapping[str, float], factor: float, unit: str) -> Table:
    total = sum(parts.values()) or 1.0
    rows: list[list[Cell]] = [
        [name, value * factor, value / total] for name, value in sorted(parts.items(), key=lambda p: -p[1])
    ]
    return Table(caption, (Column("component"), Column(unit, ".4g"), Column("share", ".1%", bar=True)), rows)


def _name(result: SweepResult, row: Row) -> str:
    return ", ".join(f"{axis} {_cell(row.get(axis))}" for axis in result.axes)


def _cell(label: Any) -> Any:
    return "–" if label is None else label
