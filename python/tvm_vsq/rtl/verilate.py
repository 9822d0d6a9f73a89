"""SystemVerilog and a testbench in C++ to a program, by Verilator and a C++ compiler."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tvm_vsq.rtl.tools import run_tool

_FLAGS = ("--x-assign", "fast", "-O3", "-Wno-fatal", "-Wno-lint")
_RUNTIME = re.compile(r"^VM_GLOBAL_(?:FAST|SLOW) \+= \\\n((?:\t\w+ \\\n)*)", re.MULTILINE)


def verilate(
    module: str, parameters: Mapping[str, int], files: Sequence[Path], testbench: Path, work: Path
) -> Path:
    """The program, in the folder `work`. Raises ToolError if a tool is missing or refuses the sources.

    What Verilator writes is compiled as one file; its own makefile takes ten times as long, most of it for
    Verilator's runtime. Nothing is optimized: 100,000 clocks take about a second so, and compilers may need
    half a minute for the expressions of a wide block.
    """
    widths = [f"-G{name}={value}" for name, value in parameters.items()]
    command = ["verilator", "--cc", *_FLAGS, "--top-module", module, *widths, "-Mdir", str(work)]
    run_tool([*command, *map(str, files)], work)
    written = [testbench, *sorted(work.glob(f"V{module}*.cpp"))]
    (work / "all.cc").write_text("".join(f'#include "{path}"\n' for path in written))
    names = _RUNTIME.findall((work / f"V{module}_classes.mk").read_text())
    objects = [_runtime(_include(), name) for name in " ".join(names).replace("\\", "").split()]
    program = work / f"V{module}"
    _compile([str(work / "all.cc"), *objects, "-o", str(program), "-pthread"], _include(), work)
    return program


@functools.cache
def _include() -> Path:
    return Path(run_tool(["verilator", "--getenv", "VERILATOR_ROOT"], Path.cwd()).strip()) / "include"


@functools.cache
def _objects() -> TemporaryDirectory[str]:
    """Of the runtime; as long as this process."""
    return TemporaryDirectory(prefix="tvm-vsq-verilator-")


@functools.cache
def _runtime(include: Path, name: str) -> str:
    """The object file of a part of Verilator's runtime, compiled once."""
    path = Path(_objects().name) / f"{name}.o"
    _compile(["-c", str(include / f"{name}.cpp"), "-o", str(path)], include, path.parent)
    return str(path)


def _compile(arguments: Sequence[str], include: Path, work: Path) -> None:
    compiler = os.environ.get("CXX", "c++").split()
    folders = [f"-I{folder}" for folder in (include, include / "vltstd", work)]
    run_tool([*compiler, "-std=c++17", "-O0", *folders, *arguments], work)
