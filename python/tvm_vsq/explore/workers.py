"""Who does a sweep's tasks: processes of this machine, or a Dask cluster; one that dies loses nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tvm_vsq.errors import ConfigError, ToolError, VsqError, first_line, shown
from tvm_vsq.extras import extra

_DEATHS = 3
"""Workers that a task may outlive: after that many it is taken for the cause."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TVM_NUM_THREADS")
_ENVIRONMENT = {
    **dict.fromkeys(_THREADS, "1"),
    # A process that grew by so many bytes is replaced; loky's own limit is less than a network takes.
    "LOKY_MAX_MEMORY_LEAK_SIZE": str(4 << 30),
}
"""Of processes that are started here: read when libraries are imported."""


@dataclass(frozen=True)
class Task:
    """`function(*arguments)` in some process; then `take(result)` in this one, which may give more tasks.

    what: what it does, for errors.
    """

    what: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    take: Callable[[Any], Iterable[Task]]


class Workers(Protocol):
    """Processes that take tasks."""

    count: int

    def place(self, path: Path) -> Any:
        """What stands for the content of a file as an argument of a task."""

    def submit(self, task: Task) -> Future[Any]:
        """Begin a task."""

    def revive(self) -> None:
        """Replace processes that died."""


@contextmanager
def workers(count: int | None, scheduler: str | None) -> Iterator[Workers]:
    """Local processes, as many as the processors that this one may use, or the workers of a Dask scheduler.

    Raises ToolError without the extra [sweep], ConfigError for a scheduler that does not answer.
    """
    if count is not None and (type(count) is not int or count < 1):
        raise ConfigError(f"workers={shown(count)}: give an integer of at least 1")
    made: Any = _Local(count) if scheduler is None else _Cluster(scheduler)
    try:
        yield made
    finally:
        made.close()


def finish(crew: Workers, tasks: Iterable[Task]) -> None:
    """Do all tasks, and those that they give, which come first.

    A task that raises ends it all with that error. Raises ToolError for one whose workers die time and again.
    """
    waiting, running = deque(tasks), dict[Future[Any], Task]()
    deaths: Counter[int] = Counter()
    try:
        while waiting or running:
            while waiting and len(running) < 2 * crew.count:
                task = waiting.popleft()
                running[crew.submit(task)] = task
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in [each for each in running if each in done]:
                if not _is_death(future):
                    task = running.pop(future)
                    waiting.extendleft(reversed(list(task.take(_result(future, task)))))
            if any(map(_is_death, done)):  # which takes all that were running with it
                crew.revive()
                for task in running.values():
                    _count_death(deaths, task)
                waiting.extendleft(reversed(list(running.values())))
                running.clear()
    except KeyboardInterrupt:
        for future, task in running.items():
            if future.done() and not future.exception():
                task.take(future.result())
        raise


def _count_death(deaths: Counter[int], task: Task) -> None:
    deaths[id(task)] += 1
    if deaths[id(task)] == _DEATHS:
        raise ToolError(
            f"{task.what}: its worker died {_DEATHS} times, for want of memory or by a crash; give fewer "
            "workers, or leave the point out (what is finished is kept)"
        )


def _is_death(future: Future[Any]) -> bool:
    error = future.exception() if future.done() else None
    return isinstance(error, BrokenProcessPool) or type(error).__name__ == "KilledWorker"


def _result(future: Future[Any], task: Task) -> Any:
    try:
        return future.result()
    except VsqError:
        raise
    except Exception as error:
        raise ToolError(f"{task.what} failed: {first_line(error)} (the cause is attached)") from error


def _prepare(parent: int) -> None:
    """In a process before its first task."""
    # Ctrl-C reaches all processes of a terminal; the parent ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)  # stdout is the parent's alone, who may print JSON
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process soon after `parent` has, whatever ended that."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


class _Local:
    """Processes of this machine, each with one thread for each library."""

    def __init__(self, count: int | None) -> None:
        self.count = count or len(os.sched_getaffinity(0))
        self._loky = extra("loky", "sweep", "sweeps")
        self._executor = self._made()

    def _made(self) -> Any:
        return self._loky.ProcessPoolExecutor(
            self.count, initializer=_prepare, initargs=(os.getpid(),), env=_ENVIRONMENT
        )

    def place(self, path: Path) -> Any:
        return str(path.resolve())

    def submit(self, task: Task) -> Future[Any]:
        found: Future[Any] = self._executor.submit(task.function, *task.arguments)
        return found

    def revive(self) -> None:
        self._executor.shutdown(wait=False, kill_workers=True)
        self._executor = self._made()

    def close(self) -> None:
        self._executor.shutdown(wait=True, kill_workers=True)


class _Cluster:
    """The workers of a Dask scheduler: tasks of one that dies go to others, data with them."""

    def __init__(self, address: str) -> None:
        distributed = extra("distributed", "sweep", "sweeps on a cluster")
        try:
            self._client = distributed.Client(address, timeout=20)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"scheduler {shown(address)} does not answer ({first_line(error)}); start one with `dask "
                "scheduler`, and workers with `dask worker ADDRESS`"
            ) from error
        self._executor = self._client.get_executor(pure=False, retries=_DEATHS)

    @property
    def count(self) -> int:
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    def place(self, path: Path) -> Any:
        # as the result of a task, which is done again if the worker that has it dies
        return self._client.submit(bytes, path.read_bytes(), pure=False)

    def submit(self, task: Task) -> Future[Any]:
        found: Future[Any] = self._executor.submit(task.function, *task.arguments)
        return found

    def revive(self) -> None:
        """Dask's nannies do that."""

    def close(self) -> None:
        self._executor.shutdown(wait=False)
        self._client.close()
