"""How many columns there are to print in."""

from __future__ import annotations

import shutil

from tvm_vsq.errors import InputError

_WITHOUT_A_TERMINAL = 80
_NOTEBOOK = 115  # what a cell of Jupyter shows without a scroll bar
LEAST, _MOST = 40, 10_000


def terminal_width() -> int:
    """COLUMNS where that is set; else of the terminal that stdout is; 115 in a notebook; else, as in a pipe
    or a file, 80. At least 40.
    """
    columns = shutil.get_terminal_size((0, 0)).columns
    return max(LEAST, columns or (_NOTEBOOK if _in_a_notebook() else _WITHOUT_A_TERMINAL))


def checked_width(width: int | None) -> int:
    """`width`, or the terminal's if None. Raises InputError for what no table fits in."""
    if width is None:
        return terminal_width()
    if type(width) is not int or not LEAST <= width <= _MOST:
        raise InputError(f"width={width!r}: give an integer from {LEAST} to {_MOST}, in characters")
    return width


def _in_a_notebook() -> bool:
    from rich.console import Console

    return Console().is_jupyter
