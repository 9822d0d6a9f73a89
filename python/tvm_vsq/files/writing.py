"""Files that appear whole or not at all, whatever ends the process that writes them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from tvm_vsq.errors import InputError, VsqError, shown
from tvm_vsq.files.paths import check_output

_DRAFTS = ".tvm_vsq-draft-"
_LOCK_SECONDS = 60.0


@contextmanager
def replacing(path: Any, *suffixes: str, error: type[VsqError] = InputError) -> Iterator[Path]:
    """Give the block a path to write to; when it ends without an error, that file takes the place of `path`.

    The file is on the disk before it gets its name, so that readers see the old one or the new one. A link
    stays, and what it points to is replaced; permissions stay. The draft has the name of `path`, in a folder
    beside it; what a killed process left behind is removed by the next write into the same folder. A device
    or a pipe is written as it is. Raises `error` for what `check_output` refuses, and if writing fails.
    """
    target = check_output(path, *suffixes, error=error)
    real = Path(os.path.realpath(target))
    try:
        if real.exists() and not real.is_file():
            yield real
            return
        with private_folder(real.parent) as folder:
            draft = folder / real.name
            yield draft
            _publish(draft, real)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise error(f"cannot write {shown(str(target))}: {reason}") from None


def write_text(path: Any, text: str, *suffixes: str, error: type[VsqError] = InputError) -> None:
    """Write a text file in UTF-8, whole or not at all; raises as `replacing` does."""
    with replacing(path, *suffixes, error=error) as draft:
        draft.write_text(text, encoding="utf-8")


@contextmanager
def locked(path: Any, error: type[VsqError] = InputError) -> Iterator[None]:
    """No other process or thread is in such a block for the same `path` meanwhile.

    The lock is of the file `.<name>.lock` beside it, which stays. Raises `error` if it cannot be had within a
    minute.
    """
    real = Path(os.path.realpath(check_output(path, error=error)))
    name = f".{real.name[:60]}.lock"  # names that begin alike may share one
    lock = filelock.FileLock(real.with_name(name), timeout=_LOCK_SECONDS)
    try:
        lock.acquire()
    except (OSError, filelock.Timeout) as problem:
        reason = getattr(problem, "strerror", None) or "another process holds its lock"
        raise error(f"cannot lock {shown(str(path))}: {reason}") from None
    try:
        yield
    finally:
        lock.release()


def _publish(draft: Path, real: Path) -> None:
    # some libraries make private files, whatever the user's umask
    model = real if real.exists() else draft.with_name(".mode")
    if model is not real:
        model.touch()
    draft.chmod(stat.S_IMODE(model.stat().st_mode))
    _sync(draft)
    draft.replace(real)
    _sync(real.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # not every file system can do that to a folder
            raise
    finally:
        os.close(descriptor)


@contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """A folder in `parent` for the length of the block, locked so that others see that its owner lives."""
    _sweep(parent)
    folder, held = _new_folder(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if held is not None:
            os.close(held)


def _new_folder(parent: Path) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_DRAFTS, dir=parent))
        try:
            return folder, _lock_folder(folder)
        except (BlockingIOError, FileNotFoundError):
            continue  # another process swept it away before it was locked
        except OSError:
            return folder, None  # a file system without locks, on which nothing is swept


def _sweep(parent: Path) -> None:
    """Remove what killed processes left behind: the system has released their locks."""
    for folder in parent.glob(f"{_DRAFTS}*"):
        with contextlib.suppress(OSError):
            held = _lock_folder(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)


def _lock_folder(folder: Path) -> int:
    """A descriptor that holds the lock of `folder`, until it is closed or the process ends.

    Raises BlockingIOError if another has the lock, FileNotFoundError if the folder is gone.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), os.stat(folder)):
            raise FileNotFoundError(folder)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
