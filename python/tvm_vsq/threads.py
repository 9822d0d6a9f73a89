"""What the threads of a process share, and how they keep out of each other's way."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import AbstractContextManager, ContextDecorator
from typing import Any

from tvm_vsq.interrupts import answered
from tvm_vsq.libraries import when_imported


class _Compiling(ContextDecorator):
    """A lock that the thread which has it may take again; `with compiling:`, or a decorator.

    Ctrl-C while it is held ends in KeyboardInterrupt, whatever the libraries inside make of it.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._watch: AbstractContextManager[None] | None = None

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1
        if self._depth == 1:
            self._watch = answered()
            self._watch.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._depth -= 1
        watch, self._watch = (self._watch, None) if self._depth == 0 else (None, self._watch)
        try:
            if watch is not None:
                watch.__exit__(*error)
        finally:
            self._lock.release()


compiling = _Compiling()
"""Held by whatever imports, quantizes or lowers a model; inferences do not take it.

TVM's block builders and code generators are one for the whole process, and so are Python's warning filters
and stdout, which importers redirect.
"""


def limit_torch_threads() -> None:
    """For a process of ours: one thread of torch, unless the environment says how many or how they wait.

    OpenMP's threads spin until the last of them is done with an operator. Where another process has its
    core, that takes longer than the work (benchmarks/threads.py); to sleep instead, OMP_WAIT_POLICY=passive
    has to be set before torch is imported.
    """
    if not {"OMP_NUM_THREADS", "OMP_WAIT_POLICY"} & os.environ.keys():
        when_imported("torch", lambda: sys.modules["torch"].set_num_threads(1))
