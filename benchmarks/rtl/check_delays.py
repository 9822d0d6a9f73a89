"""Says whether changes of nets are what they are taken for: delays.py against netlist.py, and what delays do.

    python benchmarks/rtl/check_delays.py

Without delays Icarus and Netlist.waves have to say the same of every net. With OpenSTA's, a flip-flop's
output has to change as late as the SDF file says; without -Tmax Icarus takes the library's own delays.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from configurations import Key, hardware
from delays import WITH_DELAYS, prepared
from delays import toggles as delayed_toggles
from netlist import Netlist, toggles
from operands import operands
from rich.console import Console
from rich.table import Table
from synthesis import synthesize
from waveforms import simulated

from tvm_vsq.rtl import blocks

KEYS: tuple[Key, ...] = (("4/4/4/4", 16, None), ("4/8/6/10", 16, 8), ("8/8/-/-", 16, None))
CLOCKS, WARM = 200, 20


def main() -> None:
    table = Table(
        "format", "Netlist", "Icarus", "nets that differ", "library's delays", "OpenSTA's", "flip-flops late",
        title="changes a clock, uniform operands",
    )  # fmt: skip
    wrong = 0
    for key in KEYS:
        accelerator = hardware(key)
        block = blocks(accelerator)["vector_mac"]
        with TemporaryDirectory() as name:
            folder = Path(name)
            netlist = synthesize(block, folder).netlist
            run = simulated(netlist, block, operands(accelerator, "uniform", CLOCKS))
            counts = [toggles(run.waves, CLOCKS, WARM)]
            for options in ((), ("-gspecify",), WITH_DELAYS):
                delayed = prepared(netlist, folder, CLOCKS, WARM, options)
                counts.append(delayed_toggles(delayed, run))
            late, seen = late_flops(netlist, folder)
        own, icarus, library, sta = counts
        differ = sum(own[net] != count for net, count in icarus.items())
        wrong += differ + late
        means = [sum(found[net] for net in icarus) / delayed.counted for found in (own, icarus, library, sta)]
        a, b, c, d = (f"{mean:.1f}" for mean in means)
        table.add_row(key[0], a, b, f"{differ} of {len(icarus)}", c, d, f"{late} of {seen}")
    Console(width=120).print(table)
    if wrong:
        sys.exit("they are not")


def late_flops(netlist: Netlist, folder: Path) -> tuple[int, int]:
    """Changes of flip-flops' outputs that did not come when the SDF file says, to Icarus' 10 ps; and all."""
    sdf = (folder / "delays.sdf").read_text()
    found = re.findall(r"\(INSTANCE p\d+\.(\w+)\)\s+\(DELAY\s+\(ABSOLUTE\s+\(IOPATH CLK Q (.*?)\)\n", sdf)
    pairs = {name: [float(ns) for ns in re.findall(r"::([\d.]+)\)", times + ")")] for name, times in found}
    outputs = {i.pins["Q"]: pairs[i.name] for i in netlist.instances if i.cell.data}
    codes: dict[str, str] = {}
    clock, now, risen, late, seen = "", 0, -1, 0, 0
    for line in (folder / "changes.vcd").read_text().split("\n"):
        if match := re.match(r"\$var wire 1 (\S+) (\w+) \$end", line):
            codes[match[1]] = match[2]
            clock = match[1] if match[2] == "clock" else clock
        elif line.startswith("#"):
            now = int(line[1:])
        elif line == f"1{clock}":
            risen = now
        elif risen >= 0 and codes.get(line[1:]) in outputs:
            rise_ns, fall_ns = outputs[codes[line[1:]]]
            seen += 1
            if abs((now - risen) / 1000 - (rise_ns if line[0] == "1" else fall_ns)) > 0.0101:
                late += 1
    return late, seen


if __name__ == "__main__":
    main()
