"""Tables with a column for each of what is compared, which letters stand for, and how they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_uppercase

from tvm_vsq.terminal import Column, Kind, Table


def letters(names: Sequence[str]) -> list[str]:
    """A, B, ..., Z, A1, B1, ... for names that are too long for headings."""
    count = len(ascii_uppercase)
    return [
        ascii_uppercase[at % count] + (str(at // count) if at >= count else "") for at in range(len(names))
    ]


def change(before: float | None, after: float | None) -> str:
    """As a signed percentage of `before`; "-" where there is none."""
    if not before or after is None:
        return "-"
    return f"{(after - before) / before:+.1%}"


def side_by_side(
    title: str,
    heading: str,
    names: Sequence[str],
    rows: Mapping[str, Sequence[float | None]],
    style: str | Mapping[str, str],
    *,
    last: int = 0,
) -> Table:
    """rows: a value for each of `names`, None where there is none; all but the first have their change beside
    them. style: how values are written, of all rows or by row.
    """
    columns = [Column(heading, kind=Kind.NAME)]
    for at, letter in enumerate(letters(names)):
        columns.append(Column(letter, at))
        if at:
            columns.append(Column(f"{letter} to A", at))
    cells = []
    for row, values in rows.items():
        form = style if isinstance(style, str) else style[row]
        texts = ["-" if value is None else format(value, form) for value in values]
        changes = [change(values[0], value) for value in values]
        pairs = [cell for pair in zip(texts[1:], changes[1:], strict=True) for cell in pair]
        cells.append((row, texts[0], *pairs))
    return Table(title, columns, cells, last)
