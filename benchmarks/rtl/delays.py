"""Changes of a netlist's nets with the delays of its cells, glitches among them: OpenSTA's SDF, under Icarus.

Icarus swallows a pulse that is shorter than the delay of the gate that makes it. It has to be asked for
delays: without -gspecify there are none, and without -Tmax it passes over OpenSTA's in silence, as those are
of two corners.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from library import LIBERTY
from library import VERILOG as CELLS
from netlist import Netlist
from synthesis import PERIOD_NS
from waveforms import Run, bits_of

from tvm_vsq.rtl.simulate import run_tool

WITH_DELAYS = ("-gspecify", "-Tmax")  # of iverilog
_LAUNCH_NS = 0.2  # inputs come from flip-flops, and change as late behind the clock as these do
_PART = 200  # Icarus looks for the instance of each delay among all that are in a module
_TIME = ord("#")
_DELAYS = """
read_liberty {liberty}
read_verilog top.v
link_design top
create_clock -name clock -period {period} {port}
write_sdf -divider . all.sdf
"""
_TESTBENCH = """
`timescale 1ns/1ps
module testbench;
  reg [{width}-1:0] rows[0:{clocks}-1];
  reg [{width}-1:0] row;
  reg clock = 0;
{declared}
  integer t, wrong = 0;
  top dut({ports});
  initial begin
    $readmemh("rows.hex", rows);
    {annotated}
    $dumpfile("changes.vcd");
    for (t = 0; t < {clocks}; t = t + 1) begin
      clock = 1;
      #{launch} row = rows[t];
{driven}
      #({period} / 2.0) clock = 0;
      #({period} / 2.0 - {launch} - 0.1);
      if (t >= {warm} && {{{outputs}}} !== row[0+:{output_width}]) wrong = wrong + 1;
      if (t == {warm}) $dumpvars(1, dut);
      #0.1;
    end
    $display("wrong %0d", wrong);
    $finish;
  end
endmodule
"""


@dataclass(frozen=True)
class Delayed:
    """A netlist in Icarus, for `clocks` clocks; changes count from the end of clock `warm` on."""

    netlist: Netlist
    folder: Path
    clocks: int
    warm: int

    @property
    def counted(self) -> int:
        """Clocks in which changes count."""
        return self.clocks - 1 - self.warm


def prepared(
    netlist: Netlist, folder: Path, clocks: int, warm: int, options: tuple[str, ...] = WITH_DELAYS
) -> Delayed:
    """Compile it, in `folder`; without `options` there are no delays."""
    (folder / "top.v").write_text(netlist.verilog())
    text, part = _in_parts(netlist)
    (folder / "parts.v").write_text(text)
    if options:
        _write_delays(netlist, folder, part)
    (folder / "testbench.v").write_text(_testbench(netlist, clocks, warm, bool(options)))
    command = ["iverilog", "-g2012", *options, "-s", "testbench", "-o", "testbench.vvp"]
    run_tool([*command, "testbench.v", "parts.v", str(CELLS)], folder)
    return Delayed(netlist, folder, clocks, warm)


def toggles(delayed: Delayed, run: Run, start: int = 0) -> dict[str, int]:
    """Changes of each net with the inputs of `run` from clock `start` on; it has as many clocks at least.

    Raises RuntimeError if an output is not what `run` has at the end of a clock, or a net is unknown.
    """
    netlist, folder, warm = delayed.netlist, delayed.folder, delayed.warm
    nets = [net for name in reversed(_ports(netlist)) for net in _ports(netlist)[name]]
    packed = np.packbits(
        bits_of(run.waves, nets, run.clocks)[start:][: delayed.clocks], axis=1, bitorder="little"
    )
    (folder / "rows.hex").write_text("\n".join(row.tobytes()[::-1].hex() for row in packed) + "\n")
    said = run_tool(["vvp", "-n", "testbench.vvp"], folder)
    if "wrong 0\n" not in said or "SDF ERROR" in said:
        raise RuntimeError(f"with delays the netlist does something else: {said[-300:]}")
    # Those of ports, which are vectors there, are known.
    ports = {net: run.waves[net] >> start for net in nets}
    return _changes_of(ports, delayed.clocks, warm) | _changes(folder / "changes.vcd")


def _changes_of(waves: dict[str, int], clocks: int, warm: int) -> dict[str, int]:
    mask = ((1 << (clocks - 1)) - 1) >> warm << warm
    return {net: ((wave ^ (wave >> 1)) & mask).bit_count() for net, wave in waves.items()}


def _ports(netlist: Netlist) -> dict[str, tuple[str, ...]]:
    """Nets of those that a row has; the last port is lowest in it."""
    inputs = {name: nets for name, nets in netlist.inputs.items() if name != "clock"}
    return {**inputs, **netlist.outputs}


def _in_parts(netlist: Netlist) -> tuple[str, dict[str, int]]:
    """Its Verilog with _PART cells to a module, which reach nets by whole names; the part of each cell."""
    lines, count = netlist.verilog().split("\n"), len(netlist.instances)
    end = len(lines) - 2  # endmodule, and what follows it
    top, cells = lines[: end - count], lines[end - count : end]
    parts = []
    for number, start in enumerate(range(0, count, _PART)):
        top.append(f"  part{number} p{number} ();")
        reaching = re.sub(r"\.(\w+)\((?!1')", r".\1(testbench.dut.", "\n".join(cells[start : start + _PART]))
        parts.append(f"module part{number};\n{reaching}\nendmodule\n")
    names = {instance.name: place // _PART for place, instance in enumerate(netlist.instances)}
    return "\n".join([*top, "endmodule", *parts]), names


def _write_delays(netlist: Netlist, folder: Path, part: dict[str, int]) -> None:
    port = "[get_ports clock]" if "clock" in netlist.inputs else ""
    (folder / "delays.tcl").write_text(_DELAYS.format(liberty=LIBERTY, period=PERIOD_NS, port=port))
    run_tool(["sta", "-exit", "-no_splash", "delays.tcl"], folder)
    # The first cell is `top` with its wires, which have no delays.
    head, _, *cells = (folder / "all.sdf").read_text().split(" (CELL\n")
    text = " (CELL\n".join([head, *cells])
    found = re.sub(r"\(INSTANCE (\w+)\)", lambda match: f"(INSTANCE p{part[match[1]]}.{match[1]})", text)
    (folder / "delays.sdf").write_text(found)


def _testbench(netlist: Netlist, clocks: int, warm: int, with_delays: bool) -> str:
    ports = _ports(netlist)
    widths = {name: len(nets) for name, nets in ports.items()}
    ends = list(accumulate(widths[name] for name in reversed(widths)))
    start = {name: end - widths[name] for name, end in zip(reversed(widths), ends, strict=True)}
    given = [name for name in ports if name in netlist.inputs]
    kinds = {name: "reg" if name in given else "wire" for name in ports}
    return _TESTBENCH.format(
        width=ends[-1],
        clocks=clocks,
        warm=warm,
        period=PERIOD_NS,
        launch=_LAUNCH_NS if with_delays else 0,
        declared="\n".join(f"  {kinds[name]} [{widths[name] - 1}:0] {name};" for name in ports),
        ports=", ".join(f".{name}({name})" for name in (*netlist.inputs, *netlist.outputs)),
        annotated='$sdf_annotate("delays.sdf", dut);' if with_delays else "",
        driven="\n".join(f"      {name} = row[{start[name]}+:{widths[name]}];" for name in given),
        outputs=", ".join(netlist.outputs),
        output_width=sum(widths[name] for name in netlist.outputs),
    )


def _changes(path: Path) -> dict[str, int]:
    """Changes of nets by name. One that changes and changes back in no time is written, but no change."""
    with path.open("rb") as file:
        names, latest = {}, {}
        for line in file:
            if match := re.match(rb"\$var wire 1 (\S+) (n\w+) \$end", line):
                names[match[1]] = match[2].decode()
            if line.startswith(b"$dumpvars"):
                break
        for line in file:
            if line.startswith(b"$end"):
                break
            latest[line[1:-1]] = line[0]
        if any(latest[code] not in b"01" for code in names):
            raise RuntimeError(f"{path}: a net is unknown when counting begins: raise `warm`")
        counts = dict.fromkeys(names, 0)
        for line in file:
            code, value = line[1:-1], line[0]
            if code in counts and latest[code] != value and value != _TIME:
                latest[code] = value
                counts[code] += 1
    return {name: counts[code] for code, name in names.items()}
