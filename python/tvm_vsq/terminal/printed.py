"""Results that print."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tvm_vsq.terminal.table import Table, wrapped
from tvm_vsq.terminal.width import checked_width


class Printed:
    """What `print` shows of a result is as wide as the terminal (`terminal_width`); `repr` is one line.

    A class says in `_parts` what there is: tables, and notes as text.
    """

    @property
    def summary(self) -> str:
        """One line."""
        raise NotImplementedError

    def _parts(self, wide: bool) -> Iterable[Table | str]:
        raise NotImplementedError

    def to_str(self, *, width: int | None = None, wide: bool = False) -> str:
        """What `print` shows.

        width: in characters, 40 or more; None: the terminal's. wide: all columns, however long the lines get.
        Raises InputError for another width.
        """
        limit = checked_width(width)
        lines: list[str] = []
        for part in self._parts(wide):
            if isinstance(part, str):
                longest = max((len(line) for line in lines), default=0)
                lines += wrapped(part, max(limit, longest) if wide else limit)
            else:
                lines += part.lines(None if wide else limit)
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.to_str()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary}>"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """For IPython and notebooks, whose last expression so prints as a table."""
        printer.text(str(self))
