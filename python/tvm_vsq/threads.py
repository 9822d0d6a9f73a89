"""What the threads of a process share, and how they keep out of each other's way."""

from __future__ import annotations

import os
import sys
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


def limit_torch_threads() -> None:
    """For a process of ours: one thread of torch, unless the environment says how many or how they wait.

    OpenMP's threads spin until the last of them is done with an operator. Where another process has its
    core, that takes longer than the work (benchmarks/threads.py); to sleep instead, OMP_WAIT_POLICY=passive
    has to be set before torch is imported.
    """
    if not {"OMP_NUM_THREADS", "OMP_WAIT_POLICY"} & os.environ.keys() and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
