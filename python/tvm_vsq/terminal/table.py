"""A table that shows what fits: columns in the order of their importance, and below it what it leaves out."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tvm_vsq.terminal.names import shortened

_LEAST_NAME, _LEAST_TEXT, _LEAST = 16, 24, 6  # characters; the last of a column that has to be there
_WIDE_TEXT = 60  # where there is room for everything
_MORE = "--wide, or .to_str(wide=True), shows also: "


class Kind(Enum):
    """NUMBER: on one line, to the right. WORD: on one line. NAME: may be cut in the middle. TEXT: may be
    folded."""

    NUMBER = "number"
    WORD = "word"
    NAME = "name"
    TEXT = "text"


@dataclass(frozen=True)
class Column:
    """keep: its rank where there is no room for all; 0 is always there, and the largest goes first."""

    heading: str
    keep: int = 0
    kind: Kind = Kind.NUMBER


@dataclass(frozen=True)
class Table:
    """rows: cells as text, one for each column. last: how many rows at the end are below a line, as sums."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    last: int = 0

    def lines(self, width: int | None) -> list[str]:
        """At most `width` characters each; None: all columns, as wide as they are."""
        chosen = self._chosen(width)
        widths = self._widths(chosen, width)
        text = _drawn(self, chosen, widths)
        left_out = [column.heading for i, column in enumerate(self.columns) if i not in chosen]
        if left_out:
            text += wrapped(_MORE + ", ".join(left_out), width)
        return text

    def _cells(self, index: int) -> list[str]:
        return [row[index] for row in self.rows]

    def _natural(self, index: int) -> int:
        return max(map(len, [self.columns[index].heading, *self._cells(index)]))

    def _least(self, index: int) -> int:
        column, natural = self.columns[index], self._natural(index)
        if column.kind is Kind.NAME:
            return min(natural, _LEAST_NAME)
        if column.kind is Kind.TEXT:
            return min(natural, _LEAST_TEXT)
        return max(map(len, [*column.heading.split(), *self._cells(index)]))

    def _chosen(self, width: int | None) -> list[int]:
        places = list(range(len(self.columns)))
        if width is None:
            return places
        chosen: list[int] = []
        for index in sorted(places, key=lambda i: self.columns[i].keep):
            wanted = [*chosen, index]
            if self.columns[index].keep == 0 or _drawn_width(map(self._least, wanted)) <= width:
                chosen = wanted
        return sorted(chosen)

    def _widths(self, chosen: Sequence[int], width: int | None) -> list[int]:
        """Of the chosen columns: what they need at least, then names, headings and texts get what is left."""
        if width is None:
            return [
                min(self._natural(i), _WIDE_TEXT) if self.columns[i].kind is Kind.TEXT else self._natural(i)
                for i in chosen
            ]
        widths = {i: self._least(i) for i in chosen}
        order = (Kind.NAME, Kind.NUMBER, Kind.WORD, Kind.TEXT)
        for kind in order:
            growing = [i for i in chosen if self.columns[i].kind is kind]
            while growing := [i for i in growing if widths[i] < self._natural(i)]:
                if _drawn_width(widths.values()) >= width:
                    break
                widths[min(growing, key=widths.__getitem__)] += 1
        while _drawn_width(widths.values()) > width and max(widths.values()) > _LEAST:
            widths[max(widths, key=widths.__getitem__)] -= 1
        return list(widths.values())


def wrapped(text: str, width: int | None) -> list[str]:
    """A note as lines of at most `width` characters."""
    from rich.console import Console
    from rich.text import Text

    if width is None or not text:
        return [text]
    console = Console(width=width, file=io.StringIO())
    return [str(line).rstrip() for line in Text(text).wrap(console, width)]


def _drawn_width(widths: Iterable[int]) -> int:
    """With a blank at each side of a cell, and a line at each side of a column."""
    widths = list(widths)
    return sum(widths) + 3 * len(widths) + 1


def _drawn(table: Table, chosen: Sequence[int], widths: Sequence[int]) -> list[str]:
    from rich.console import Console
    from rich.table import Table as RichTable

    drawn = RichTable()
    rows: list[list[str]] = [[] for _ in table.rows]
    for index, width in zip(chosen, widths, strict=True):
        column, cells = table.columns[index], table._cells(index)
        if column.kind is Kind.NAME:
            cells = shortened(cells, width)
        right: Any = "right" if column.kind is Kind.NUMBER else "left"
        drawn.add_column(column.heading, justify=right, width=width, overflow="fold")
        for row, cell in zip(rows, cells, strict=True):
            row.append(cell)
    for number, row in enumerate(rows):
        drawn.add_row(*row, end_section=number + 1 == len(rows) - table.last)
    # notebooks would show it in place of writing it, and have colours in all that is written
    plain: Any = {"markup": False, "highlight": False, "force_jupyter": False, "force_terminal": False}
    console = Console(width=_drawn_width(widths), file=io.StringIO(), **plain)
    console.print(drawn)
    body = [line.rstrip() for line in str(console.file.getvalue()).rstrip("\n").split("\n")]  # type: ignore[attr-defined]
    title = wrapped(table.title, max(_drawn_width(widths), 40)) if table.title else []
    return [*title, *body]
