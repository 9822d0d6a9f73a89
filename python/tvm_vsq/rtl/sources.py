"""The SystemVerilog files of the datapath, as they ship."""

from __future__ import annotations

import os
from pathlib import Path

from tvm_vsq.errors import InputError

_PACKAGE = "vsq_isa.sv"  # what the modules use is read first


def sources(folder: str | os.PathLike[str] | None = None) -> tuple[Path, ...]:
    """Every file, in an order in which it can be read; those in `folder` in place of the shipped ones.

    Raises InputError if there are none.
    """
    found = sorted(Path(folder or _shipped()).resolve().glob("*.sv"))  # tools run in folders of their own
    if not found:
        raise InputError(f"there is no SystemVerilog in '{folder}': give a folder that write_rtl has filled")
    return tuple(sorted(found, key=lambda path: path.name != _PACKAGE))


def _shipped() -> Path:
    package = Path(__file__).resolve().parent
    return package if (package / _PACKAGE).is_file() else package.parents[2] / "rtl"
