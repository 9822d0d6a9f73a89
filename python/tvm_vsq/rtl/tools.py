"""Programs that are not part of this package: RTL simulators and compilers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tvm_vsq.errors import ToolError

PACKAGES = {
    "verilator": "verilator",
    "iverilog": "iverilog",
    "vvp": "iverilog",
    "yosys": "yosys",
    "sta": "qflow-tech-osu018",
    "c++": "g++",
}
"""Debian's packages, by the programs that come in them."""
_SECONDS = 1800


def require_tool(program: str) -> None:
    """Raise ToolError, with the package that has it, if `program` is not installed."""
    if shutil.which(program) is None:
        name = Path(program).name
        raise ToolError(f"{name} is not installed; on Debian: apt-get install {PACKAGES.get(name, name)}")


def run_tool(command: Sequence[str], work: Path, codes: Sequence[int] = (0,)) -> str:
    """What a program prints that runs in the folder `work`.

    Raises ToolError if it is not installed, takes half an hour, or ends with another code than `codes`, with
    the beginning of what it said.
    """
    name = Path(command[0]).name
    require_tool(command[0])
    try:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise ToolError(f"{name} did not end within {_SECONDS} s") from None
    if done.returncode not in codes:
        said = (done.stderr or done.stdout).strip()[:2000]
        raise ToolError(f"{name} ended with code {done.returncode}: {said}")
    return done.stdout
