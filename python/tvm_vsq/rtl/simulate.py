"""A block against its reference, in a Verilog simulator: Verilator with a C++ testbench, or Icarus."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import jinja2
import numpy as np

from tvm_vsq.errors import ToolError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.rtl.blocks import Block
from tvm_vsq.rtl.reference import Results, expected
from tvm_vsq.rtl.rows import Rows, rows, words_of
from tvm_vsq.rtl.sources import sources
from tvm_vsq.rtl.stimuli import Inputs, stimuli

_SHOWN = 20
_SECONDS = 1800
_MISMATCH = re.compile(r"mismatch (\d+) (\w+) (\d+) ([0-9a-fxz]+) ([0-9a-fxz]+)")
_DONE = re.compile(r"clocks (\d+) wrong (\d+)")


@dataclass(frozen=True)
class Check:
    """What a simulation found.

    A mismatch is (clock, signal, lowest bit of the word, found, expected), the last two in hex.
    """

    block: str
    clocks: int
    wrong: int
    mismatches: tuple[tuple[int, str, int, str, str], ...]

    def summary(self, configuration: str) -> str:
        """A line, and one for each mismatch that was kept."""
        lines = [f"{configuration}: {self.block}: {self.wrong} of {self.clocks} clocks differ"]
        lines += [
            f"  clock {clock}, {signal} from bit {bit}: {found}, expected {expected}"
            for clock, signal, bit, found, expected in self.mismatches
        ]
        return "\n".join(lines)


def check(
    hardware: HardwareConfig,
    block: Block,
    count: int,
    seed: int = 0,
    simulator: str = "verilator",
    folder: str | os.PathLike[str] | None = None,
) -> Check:
    """Simulate `block` of `hardware` with its corners and `count` random transactions, against NumPy.

    simulator: verilator or icarus. folder: of sources in place of those that ship. Raises ToolError if the
    simulator is not installed or refuses the sources.
    """
    return check_inputs(hardware, block, stimuli(hardware, block, count, seed), simulator, folder)


def check_inputs(
    hardware: HardwareConfig,
    block: Block,
    inputs: Inputs,
    simulator: str = "verilator",
    folder: str | os.PathLike[str] | None = None,
    results: Results | None = None,
) -> Check:
    """As `check`, with transactions of the caller's; results: compared with in place of NumPy's."""
    table = rows(block, inputs, expected(hardware, block.name, inputs) if results is None else results)
    run = {"verilator": _verilator, "icarus": _icarus}[simulator]
    with TemporaryDirectory(prefix="tvm-vsq-rtl-") as work:
        return run(block, table, Path(work), sources(folder))


def _verilator(block: Block, table: Rows, work: Path, files: Sequence[Path]) -> Check:
    (work / "testbench.cc").write_text(render("testbench.cc.j2", block=block, words=words_of))
    parameters = [f"-G{name}={value}" for name, value in block.parameters.items()]
    command = [
        "verilator",
        "--cc",
        "--exe",
        "--build",
        "-O3",
        "--x-assign",
        "fast",
        "-Wno-fatal",
        "-Wno-lint",
    ]
    command += ["--top-module", block.module, *parameters, "-Mdir", str(work / "build"), "-CFLAGS", "-O1"]
    run_tool([*command, *map(str, files), str(work / "testbench.cc")], work)
    np.hstack([table.inputs, table.expected, table.care]).tofile(work / "rows.bin")
    program = [str(work / "build" / f"V{block.module}"), str(work / "rows.bin"), str(_SHOWN)]
    return _read(block, run_tool(program, work, codes=(0, 1)))


def _icarus(block: Block, table: Rows, work: Path, files: Sequence[Path]) -> Check:
    write_testbench(block, table, work)
    program = ["iverilog", "-g2012", "-s", "testbench", "-o", str(work / "testbench.vvp")]
    run_tool([*program, *map(str, files), str(work / "testbench.sv")], work)
    return _read(block, run_tool(["vvp", "-n", str(work / "testbench.vvp")], work))


def write_testbench(
    block: Block,
    table: Rows,
    work: Path,
    *,
    parameters: bool = True,
    period: float = 10.0,
    sdf: Path | None = None,
    vcd: Path | None = None,
) -> None:
    """testbench.sv and rows.hex in `work`.

    parameters: False for a netlist. sdf: its delays. vcd: where changes are written.
    """
    widths = [port.width for port in (*block.inputs, *block.outputs)]
    starts = np.cumsum([0, *widths])
    text = render(
        "testbench.sv.j2",
        block=block,
        rows=len(table),
        inputs=sum(port.width for port in block.inputs),
        outputs=sum(port.width for port in block.outputs),
        offsets={
            port.name: int(at) for port, at in zip((*block.inputs, *block.outputs), starts[:-1], strict=True)
        },
        path=work / "rows.hex",
        parameters=parameters,
        period=period,
        sdf=sdf,
        vcd=vcd,
    )
    (work / "testbench.sv").write_text(text)
    (work / "rows.hex").write_text(_hex_rows(block, table))


def _hex_rows(block: Block, table: Rows) -> str:
    """A line a clock: inputs, outputs, which of these are compared; the lowest bit last."""
    parts = [(table.inputs, block.inputs), (table.expected, block.outputs), (table.care, block.outputs)]
    columns = []
    for words, ports in parts:
        at = 0
        for port in ports:
            width = words_of([port])
            packed = np.ascontiguousarray(words[:, at : at + width]).view(np.uint8)
            columns.append(np.unpackbits(packed, axis=1, count=port.width, bitorder="little"))
            at += width
    bits = np.concatenate(columns, axis=1)
    packed = np.packbits(np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))), axis=1, bitorder="little")
    return "\n".join(row.tobytes()[::-1].hex() for row in packed) + "\n"


def render(template: str, **context: object) -> str:
    """The text of one of `templates/`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tvm_vsq.rtl"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(context)


def run_tool(command: Sequence[str], work: Path, codes: Sequence[int] = (0,)) -> str:
    """What a program prints. Raises ToolError if it is missing or fails, with the end of what it said."""
    if shutil.which(command[0]) is None:
        raise ToolError(f"{command[0]} is not installed; `make rtl` says how it is")
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode not in codes:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise ToolError(f"{Path(command[0]).name} ended with code {done.returncode}: {said}")
    return done.stdout


def _read(block: Block, text: str) -> Check:
    done = _DONE.search(text)
    if done is None:
        raise ToolError(f"{block.name}: the testbench ended without a result: {text[-1000:]}")
    found = [
        (int(clock), signal, 32 * int(word), got, wanted)
        for clock, signal, word, got, wanted in _MISMATCH.findall(text)
    ]
    return Check(block.name, int(done[1]), int(done[2]), tuple(found))
