"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable


def table(header: Iterable[str], lines: Iterable[Iterable[str]], names: int = 1) -> str:
    """The first columns are text, the rest numbers. A ValueError names a line that fits no headings."""
    head, rows = list(header), [list(line) for line in lines]
    for row in rows:
        if len(row) != len(head):
            raise ValueError(f"{len(row)} cells below {len(head)} headings: {' | '.join(row)}")
    rule = ["---"] * names + ["---:"] * (len(head) - names)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))
