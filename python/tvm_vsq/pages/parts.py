"""What pages are made of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tvm_vsq.extras import extra

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure

SERIES = tuple(f"var(--series-{number})" for number in range(1, 9))
"""Colours of traces; `page.css` says which these are in a light and a dark theme."""


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

    bar: behind each number (0..1) stands a bar of that length.
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

    def is_numeric(self, column: int) -> bool:
        """Whether a column holds numbers, and nothing else that is not empty."""
        cells = [row[column] for row in self.rows if row[column] is not None]
        return bool(cells) and all(map(_is_number, cells))

    def body(self) -> Iterator[list[dict[str, Any]]]:
        """The cells of each row, as the template wants them."""
        for row in self.rows:
            yield self.cells(row)

    def cells(self, row: Sequence[Cell]) -> list[dict[str, Any]]:
        """Of one row: text, number to sort by if it is one, length of the bar, and where a link leads."""
        return [
            {
                "text": column.shown(value),
                "number": repr(value).replace("inf", "Infinity") if _is_number(value) else None,
                "bar": _share(value) if column.bar else None,
                "link": value.name if isinstance(value, Link) else None,
            }
            for column, value in zip(self.columns, row, strict=True)
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
        """Its data and layout, as JSON that may stand in a script: no text of it ends that."""
        data = self.figure.to_dict()
        data["layout"].pop("template", None)
        plotly_json: Any = extra("plotly.io.json", "report", "pages with plots")
        return _in_script(plotly_json.to_json_plotly(data, engine="json"))


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


def _is_number(value: Any) -> bool:
    # also NumPy's; NaN is an empty cell
    try:
        return not isinstance(value, str | bool) and not math.isnan(value)
    except TypeError:
        return False


def _share(value: Any) -> float | None:
    return min(1.0, max(0.0, float(value))) if _is_number(value) else None


def _in_script(text: str) -> str:
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
