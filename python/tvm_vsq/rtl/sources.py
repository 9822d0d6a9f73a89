"""The SystemVerilog files of the datapath, as they ship."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = "vsq_isa.sv"  # what the modules use is read first


def sources(folder: str | os.PathLike[str] | None = None) -> tuple[Path, ...]:
    """Every file, in an order in which it can be read; those in `folder` in place of the shipped ones."""
    found = sorted(Path(folder or _shipped()).resolve().glob("*.sv"))  # tools run in folders of their own
    return tuple(sorted(found, key=lambda path: path.name != _PACKAGE))


def _shipped() -> Path:
    package = Path(__file__).resolve().parent
    return package if (package / _PACKAGE).is_file() else package.parents[2] / "rtl"
