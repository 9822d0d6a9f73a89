"""Progress of long work, on stderr where that is a terminal and someone asked for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
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


def steps(
    what: str, items: Iterable[T], total: int | None = None, *, name: Callable[[T], str] | None = None
) -> Iterator[T]:
    """`items`, with a bar that says `what` is done to them, and how long it will take.

    total: how many, where that is known before. name: what an item is called, for the bar.
    """
    bars = _SHOWN.get()
    if bars is None:
        yield from items
        return
    task = bars.add_task(what, total=total)
    try:
        for item in items:
            if name is not None:
                bars.update(task, description=f"{what}: {escape(name(item))}")
            yield item
            bars.advance(task)
    finally:
        bars.remove_task(task)


@contextmanager
def busy(what: str) -> Iterator[None]:
    """A bar for one thing that takes long, which no one knows how far it is."""
    for _ in steps(what, [None]):
        yield


@contextmanager
def hidden() -> Iterator[None]:
    """No bars for the `steps` inside, which would come and go many times in a second."""
    token = _SHOWN.set(None)
    try:
        yield
    finally:
        _SHOWN.reset(token)
