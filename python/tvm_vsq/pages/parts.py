"""What pages are made of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from tvm_vsq.extras import extra

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure

SERIES = tuple(f"var(--series-{number})" for number in range(1, 9))
"""Colours of traces; `page.css` says which these are in a light and a dark theme."""

_NAMES, _LENGTH = 60, 24  # on an axis, and characters of each
_SHORT = 40  # characters of a cell that is not broken into lines


@dataclass(frozen=True)
class Link:
    """A word that leads to the part of the page called `name`, which it opens."""

    text: str
    name: str


Cell: TypeAlias = str | int | float | Link | None
"""Of a table; None and NaN are an empty one."""


@dataclass(frozen=True)
class Fact:
    """A number to see at once: what it is of, the number with its unit, and what it means."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Paragraph:
    """Text; what stands between backticks is code."""

    text: str


@dataclass(frozen=True)
class Code:
    """Lines to copy."""

    text: str


@dataclass(frozen=True)
class Column:
    """spec: how numbers are written, as in `format`; unit: in the head. help: what it is, for who asks.

    bar: behind each number stands a bar, that of the column's largest one over the whole width.
    """

    heading: str
    spec: str = ""
    unit: str = ""
    help: str = ""
    bar: bool = False

    def shown(self, value: Cell) -> str:
        """A cell's text."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return "–"
        if isinstance(value, Link):
            return value.text
        if isinstance(value, float) and math.isinf(value):
            return "∞" if value > 0 else "−∞"
        return format(value, self.spec) if _is_number(value) else str(value)


@dataclass(frozen=True)
class Table:
    """Rows that the reader sorts by any column: numbers as numbers, what is empty last.

    caption: its name. total: a last row that stays where it is. The first column names the row.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    total: Sequence[Cell] | None = None

    def __post_init__(self) -> None:
        for row in (*self.rows, *([self.total] if self.total else [])):
            if len(row) != len(self.columns):
                raise ValueError(f"table {self.caption!r}: {len(self.columns)} columns, but a row {row!r}")

    @cached_property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column holds numbers, and nothing else that is not empty."""
        found = []
        for at in range(len(self.columns)):
            cells = [row[at] for row in self.rows if row[at] is not None]
            found.append(bool(cells) and all(map(_is_number, cells)))
        return tuple(found)

    @cached_property
    def largest(self) -> tuple[float, ...]:
        """Of each column's numbers that are finite; at least 0."""
        columns = ([row[at] for row in self.rows] for at in range(len(self.columns)))
        return tuple(max(map(float, filter(_is_finite, cells)), default=0.0) for cells in columns)

    def body(self) -> Iterator[list[dict[str, Any]]]:
        """The cells of each row, as the template wants them."""
        for row in self.rows:
            yield self.cells(row)

    def cells(self, row: Sequence[Cell]) -> list[dict[str, Any]]:
        """Of one row: text, whether it stays on a line, number to sort by, length of the bar, and where it
        leads."""
        return [
            {
                "text": (text := column.shown(value)),
                "is_short": len(text) <= _SHORT,
                "number": repr(value).replace("inf", "Infinity") if _is_number(value) else None,
                "bar": _part(value, self.largest[at]) if column.bar else None,
                "link": value.name if isinstance(value, Link) else None,
            }
            for at, (column, value) in enumerate(zip(self.columns, row, strict=True))
        ]


@dataclass(frozen=True)
class Figure:
    """A plotly figure. alt: what it shows, in words, for who does not see it. height: in CSS pixels.

    Its colours, fonts and grid are the page's; a point whose `customdata` is the name of a Details opens it.
    """

    figure: PlotlyFigure
    alt: str
    caption: str = ""
    height: int = 420

    def to_json(self) -> str:
        """Its data and layout, as JSON that may stand in a script: plotly escapes what would end that."""
        data = self.figure.to_dict()
        data["layout"].pop("template", None)
        plotly_json: Any = extra("plotly.io.json", "report", "pages with plots")
        return str(plotly_json.to_json_plotly(data, engine="json"))


@dataclass(frozen=True)
class Glossary:
    """Terms and what they mean."""

    terms: Mapping[str, str]


@dataclass(frozen=True)
class Details:
    """Parts that a click on the summary shows. name: what links and points lead to; letters, digits, "-"."""

    summary: str
    parts: Sequence[Part]
    name: str = ""
    open: bool = False


Part: TypeAlias = Paragraph | Code | Table | Figure | Glossary | Details


def new_figure() -> PlotlyFigure:
    """An empty plotly figure; raises ToolError if plotly is not installed."""
    graph_objects: Any = extra("plotly.graph_objects", "report", "pages with plots")
    return graph_objects.Figure()


def as_text(name: str) -> str:
    """A name as a plot shows it: plotly reads tags in text."""
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def name_ticks(names: Sequence[str]) -> dict[str, Any]:
    """Settings of an axis for names at 0, 1, 2, ...: of long ones the ends, of many ones some."""
    every = -(-len(names) // _NAMES)
    short = [name if len(name) <= _LENGTH else f"…{name[1 - _LENGTH :]}" for name in names]
    ticks = range(0, len(names), every or 1)
    return {"tickvals": list(ticks), "ticktext": [as_text(short[at]) for at in ticks], "tickangle": -60}


def _is_number(value: Any) -> bool:
    # also NumPy's; NaN is an empty cell
    try:
        return not isinstance(value, str | bool) and not math.isnan(value)
    except TypeError:
        return False


def _is_finite(value: Any) -> TypeGuard[int | float]:
    return _is_number(value) and math.isfinite(value)


def _part(value: Any, largest: float) -> float | None:
    return min(1.0, max(0.0, value / largest)) if _is_finite(value) and largest else None
