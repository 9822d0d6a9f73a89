"""Progress of long work, on stderr where that is a terminal and someone asked for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

T = TypeVar("T")

_SHOWN: ContextVar[Progress | None] = ContextVar("shown", default=None)


@contextmanager
def progress_shown(wanted: bool) -> Iterator[Progress]:
    """Bars for the `steps` inside, one below the other. stdout is the caller's, and a log gets none."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not (wanted and console.is_terminal)) as bars:
        token = _SHOWN.set(bars)
        try:
            yield bars
        finally:
            _SHOWN.reset(token)


def steps(what: str, items: Iterable[T], total: int | None = None) -> Iterator[T]:
    """`items`, with a bar that says `what` is done to them; total: how many, where that is known before."""
    bars = _SHOWN.get()
    if bars is None:
        yield from items
        return
    task = bars.add_task(what, total=total)
    try:
        for item in items:
            yield item
            bars.advance(task)
    finally:
        bars.remove_task(task)
