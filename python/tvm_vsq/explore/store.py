"""The folder of a sweep: what is finished, a file each, so that nothing is computed twice or lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any

from tvm_vsq.errors import ConfigError, InputError, shown
from tvm_vsq.files import as_path, locked, parse_json, read_text, replacing, write_text

METRICS, POINTS = "metrics", "points"
"""Sub-folders: of what is evaluated, by key, and of what points cost."""
FP32 = "fp32"
"""The key of what the network in fp32 gives."""
_HEADER = "sweep.json"
_LIMIT = 1 << 30
_VERSION = 1


class Store:
    """Results by key, in sub-folders of `folder`. Every file is there whole or not at all.

    Made by `opened`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, kind: str, key: str) -> Any:
        """What was kept, or None."""
        path = self.path(kind, f"{key}.json")
        return parse_json(read_text(path, limit=_LIMIT), str(path)) if path.is_file() else None

    def keep(self, kind: str, key: str, data: Any) -> None:
        """Keep plain data."""
        write_text(self.path(kind, f"{key}.json"), json.dumps(data))

    def keep_bytes(self, kind: str, key: str, data: bytes) -> Path:
        """Keep bytes, and say where."""
        path = self.path(kind, key)
        with replacing(path) as draft:
            draft.write_bytes(data)
        return path

    def drop(self, kind: str, key: str) -> None:
        """Forget bytes."""
        self.path(kind, key).unlink(missing_ok=True)

    def path(self, kind: str, key: str) -> Path:
        """Where bytes are or would be kept."""
        folder = self.folder / kind
        folder.mkdir(exist_ok=True)
        return folder / key


@contextmanager
def opened(folder: Any, header: Mapping[str, Any]) -> Iterator[Store]:
    """The store in `folder`, a new one, or of a sweep with the same `header`; no other process opens it
    meanwhile.

    header: what results depend on besides their keys: the model, data, how they are evaluated.
    Raises InputError if it cannot be written to, ConfigError if it belongs to something else.
    """
    path = as_path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        there = [each.name for each in path.iterdir() if not each.name.startswith(".")]
    except OSError as problem:
        raise InputError(f"cannot write into {shown(str(path))}: {problem.strerror}") from None
    if there and _HEADER not in there:
        raise ConfigError(f"{shown(str(path))} holds {there[0]}, but no sweep; give a new or empty folder")
    with locked(path / _HEADER):
        before = read_header(path) if there else header
        differ = [name for name in header if before.get(name) != header[name]]
        if differ and not _is_begun(path):
            rmtree(path / METRICS, ignore_errors=True)  # of the fp32 network that was meant before
        elif differ:
            raise ConfigError(
                f"the sweep in {shown(str(path))} is of another {', '.join(differ)}; give a new folder, or "
                "delete that one"
            )
        write_text(path / _HEADER, json.dumps({"version": _VERSION, **header}, indent=2))
        yield Store(path)


def _is_begun(folder: Path) -> bool:
    """Whether anything of a point is finished: else what the folder is of may change."""
    return any(
        path.name != f"{FP32}.json" for kind in (METRICS, POINTS) for path in (folder / kind).glob("*")
    )


def read_header(folder: Path) -> dict[str, Any]:
    """What a sweep's folder is of. Raises ConfigError if it holds none of this version."""
    path = folder / _HEADER
    if not path.is_file():
        raise ConfigError(f"{shown(str(folder))} holds no sweep: there is no {_HEADER} in it")
    header = parse_json(read_text(path), str(path), ConfigError)
    if not isinstance(header, dict) or header.get("version") != _VERSION:
        raise ConfigError(f"{shown(str(path))} is of another version of tvm_vsq; sweep into a new folder")
    return header
