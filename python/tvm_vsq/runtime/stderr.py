"""Keeps what TVM's C++ says of itself from stderr: it asks nobody, and users could do nothing about it."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_OF_TVM = re.compile(
    rb"^\[[0-9:]+\] \S*/src/runtime/vm/executable\.cc:[0-9]+: Warning: Scope [^\n]*\n?", re.M
)
"""What it writes and reads of an executable, one line for each memory scope."""

_STDERR = 2
_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def without_scopes() -> Iterator[None]:
    """Hold back what the block writes to file descriptor 2, and then write all of it but those lines.

    For calls that take little time and show no progress: other threads' output comes late, too.
    """
    with _ONE_AT_A_TIME:
        try:
            before = os.dup(_STDERR)
        except OSError:  # the process has no stderr
            yield
            return
        try:
            # in memory: saving needs no folder for temporary files
            with os.fdopen(os.memfd_create("stderr"), "w+b", buffering=0) as held:
                _flush()
                os.dup2(held.fileno(), _STDERR)
                try:
                    yield
                finally:
                    _flush()
                    os.dup2(before, _STDERR)
                    held.seek(0)
                    os.write(_STDERR, _OF_TVM.sub(b"", held.read()))
        finally:
            os.close(before)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
