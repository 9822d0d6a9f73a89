"""What the threads of a process share, and how they keep out of each other's way."""

from __future__ import annotations

import threading
from contextlib import ContextDecorator
from typing import Any


class _Compiling(ContextDecorator):
    """A lock that the thread which has it may take again; `with compiling:`, or a decorator."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_error: Any) -> None:
        self._lock.release()


compiling = _Compiling()
"""Held by whatever imports, quantizes or lowers a model; inferences do not take it.

TVM's block builders and code generators are one for the whole process, and so are Python's warning filters
and stdout, which importers redirect.
"""
