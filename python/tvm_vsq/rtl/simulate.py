"""A block against its reference, in a Verilog simulator: Verilator with a C++ testbench, or Icarus."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tvm_vsq.errors import InputError, ToolError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.rtl.blocks import Block
from tvm_vsq.rtl.reference import Results, expected
from tvm_vsq.rtl.rendering import render
from tvm_vsq.rtl.rows import Rows, joined, rows, words_of
from tvm_vsq.rtl.sources import sources
from tvm_vsq.rtl.stimuli import Inputs, stimuli
from tvm_vsq.rtl.tools import run_tool
from tvm_vsq.rtl.verilate import verilate

_SHOWN = 20
_BITS_AT_ONCE = 1 << 25  # the reference takes up to 8 bytes for each
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

    simulator: verilator or icarus. folder: of sources in place of those that ship. Raises InputError for a
    count, seed or simulator that there is not, and ToolError if the simulator is not installed or refuses the
    sources.
    """
    for name, number, least in (("count", count, 1), ("seed", seed, 0)):
        if type(number) is not int or number < least:
            raise InputError(f"{name}={number!r}: give an integer of at least {least}")
    return _run(block, _tables(hardware, block, count, seed), simulator, folder)


def check_inputs(
    hardware: HardwareConfig,
    block: Block,
    inputs: Inputs,
    simulator: str = "verilator",
    folder: str | os.PathLike[str] | None = None,
    results: Results | None = None,
) -> Check:
    """As `check`, with transactions of the caller's; results: compared with in place of NumPy's."""
    wanted = expected(hardware, block.name, inputs) if results is None else results
    return _run(block, [rows(block, inputs, wanted)], simulator, folder)


def _tables(hardware: HardwareConfig, block: Block, count: int, seed: int) -> Iterator[Rows]:
    """Rows for the corners and `count` transactions; of wide ports in parts, each with its own corners."""
    width = sum(port.width for port in (*block.inputs, *block.outputs))
    most = max(1, _BITS_AT_ONCE // width)
    for part, begin in enumerate(range(0, max(1, count), most)):
        inputs = stimuli(hardware, block, min(most, count - begin), seed + part)
        yield rows(block, inputs, expected(hardware, block.name, inputs))


def _run(
    block: Block, tables: Iterable[Rows], simulator: str, folder: str | os.PathLike[str] | None
) -> Check:
    simulators = {"verilator": _verilator, "icarus": _icarus}
    if simulator not in simulators:
        raise InputError(f"simulator={simulator!r}: known are {', '.join(simulators)}")
    run = simulators[simulator]
    with TemporaryDirectory(prefix="tvm-vsq-rtl-") as work:
        return run(block, tables, Path(work), sources(folder))


def _verilator(block: Block, tables: Iterable[Rows], work: Path, files: Sequence[Path]) -> Check:
    testbench = work / "testbench.cc"
    testbench.write_text(render("testbench.cc.j2", block=block, words=words_of))
    program = verilate(block.module, block.parameters, files, testbench, work)
    with open(work / "rows.bin", "wb") as file:
        for table in tables:
            np.hstack([table.inputs, table.expected, table.care]).tofile(file)
    return _read(block, run_tool([str(program), str(work / "rows.bin"), str(_SHOWN)], work, codes=(0, 1)))


def _icarus(block: Block, tables: Iterable[Rows], work: Path, files: Sequence[Path]) -> Check:
    write_testbench(block, joined(tables), work)
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


def _read(block: Block, text: str) -> Check:
    done = _DONE.search(text)
    if done is None:
        raise ToolError(f"{block.name}: the testbench ended without a result: {text[-1000:]}")
    found = [
        (int(clock), signal, 32 * int(word), got, wanted)
        for clock, signal, word, got, wanted in _MISMATCH.findall(text)
    ]
    return Check(block.name, int(done[1]), int(done[2]), tuple(found))
