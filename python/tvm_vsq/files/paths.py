"""Names of files: what is one, and whether something can be written there."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from tvm_vsq.errors import InputError, VsqError, shown

PLOTS = (".png", ".svg", ".pdf")
"""How the name of a plot may end."""


def as_path(path: Any, error: type[VsqError] = InputError) -> Path:
    """`path` as a Path; raises `error` for what no file can be called."""
    if not isinstance(path, str | os.PathLike):
        raise error(f"a file name must be a str or a Path, not {type(path).__name__}")
    text = os.fspath(path)
    if not isinstance(text, str):
        raise error(f"a file name must be text, not {type(text).__name__}")
    if not text:
        raise error("a file name is empty; give the name of a file")
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:
        encoded = b"\0"
    if b"\0" in encoded:
        raise error(f"{shown(text)} is no file name: it holds a character that no file system has")
    return Path(text)


def check_output(path: Any, *suffixes: str, error: type[VsqError] = InputError) -> Path:
    """`path` as a Path, if a file can be written there; to be called before the work that is written.

    suffixes: with which the name may end; any if there are none. A link counts for what it points to.
    Raises `error` with the reason: another suffix, a folder, a read-only file, or a folder that does not
    exist or cannot be written to.
    """
    target = as_path(path, error)
    if reason := _objection(target, suffixes):
        raise error(f"cannot write {shown(str(target))}: {reason}")
    return target


def check_output_folder(path: Any, error: type[VsqError] = InputError) -> Path:
    """`path` as a Path, if files can be written into a folder of this name; to be called before the work.

    It is empty, so that what is in it afterwards belongs together, or does not exist yet, in a folder that
    does. Raises `error` with the reason.
    """
    target = as_path(path, error)
    try:
        reason = _folder_objection(target)
    except OSError as problem:  # a name that is too long, links in a circle, a folder that cannot be read
        reason = problem.strerror
    if reason:
        raise error(f"cannot write into {shown(str(target))}: {reason}")
    return target


def _folder_objection(target: Path) -> str | None:
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return _objection(target, ())
    if not stat.S_ISDIR(mode):
        return "it is no folder; give another name"
    if any(target.iterdir()):
        return "it is not empty; give a new folder, or empty it"
    return None if os.access(target, os.W_OK | os.X_OK) else "it cannot be written to"


def _objection(target: Path, suffixes: tuple[str, ...]) -> str | None:
    if suffixes and target.suffix not in suffixes:
        return f"the file name must end in {' or '.join(suffixes)}"
    real = Path(os.path.realpath(target))
    folder = real.parent
    if not folder.is_dir():
        return f"folder '{folder if target.is_symlink() else target.parent}' does not exist"
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = 0
    except OSError as error:  # a name that is too long, links in a circle
        return f"{error.strerror}"
    if stat.S_ISDIR(mode):
        return "it is a folder; give the name of a file"
    if mode and not (os.access(target, os.W_OK) and mode & 0o222):
        return "it is read-only; give another name, or make it writable"
    if (not mode or stat.S_ISREG(mode)) and not os.access(folder, os.W_OK | os.X_OK):
        return f"folder '{folder}' cannot be written to"
    return None
