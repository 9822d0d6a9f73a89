"""What a shell offers for a name that the package knows, besides files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def targets(incomplete: str) -> list[str]:
    """Shipped accelerators, and YAML files."""
    from tvm_vsq.hardware import list_targets

    return _starting(list_targets(), incomplete)


def technologies(incomplete: str) -> list[str]:
    """Shipped processes, and YAML files."""
    from tvm_vsq.hardware import list_technologies

    return _starting(list_technologies(), incomplete)


def drams(incomplete: str) -> list[str]:
    """Shipped kinds of DRAM, and YAML files."""
    from tvm_vsq.hardware import list_drams

    return _starting(list_drams(), incomplete)


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    folder = Path(incomplete).parent if "/" in incomplete else Path()
    files = [str(path) + ("/" if path.is_dir() else "") for path in _entries(folder)]
    return [name for name in (*names, *files) if name.startswith(incomplete)]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() or path.suffix in (".yaml", ".yml"))
    except OSError:
        return []
