"""A block through yosys onto osu018: its area by instance, and a flat netlist; its slack by OpenSTA."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from library import LIBERTY, cells
from netlist import Netlist

from tvm_vsq.rtl import Block, sources
from tvm_vsq.rtl.tools import run_tool

# Stillmaker and Baas (Integration 58, 2017): gates of 180 nm at 1.8 V are 79.0 / 12.6 = 6.27 times as slow as
# those of 45 nm at 0.9 V, for which the targets' 500 MHz are meant.
PERIOD_NS = 12.5

_SCRIPT = """
read_verilog -sv {files}
hierarchy -top {module} {parameters}
blackbox table_memory
rename -top top
synth -noabc
dfflibmap -liberty {liberty}
abc -liberty {liberty}
opt_clean
write_json tree.json
flatten
opt_clean -purge
write_json flat.json
"""
# A flip-flop drives each input, and a flip-flop follows each output.
_TIMING = """
read_liberty {liberty}
read_verilog net.v
link_design top
create_clock -name clock -period {period} {port}
set_input_delay 0 -clock clock [get_ports {{{inputs}}}]
set_output_delay 0 -clock clock [all_outputs]
report_worst_slack
"""


@dataclass(frozen=True)
class Synthesis:
    """A mapped block.

    areas: um2 of cells in each instance of `top`, by its name without indices; "" has those of `top` itself.
    """

    netlist: Netlist
    areas: Mapping[str, float]
    folder: Path

    @property
    def area(self) -> float:
        """Of all, in um2."""
        return sum(self.areas.values())


def synthesize(block: Block, folder: Path) -> Synthesis:
    """Map `block`, in `folder`. Multipliers and adders stay modules, so that each is mapped once."""
    folder.mkdir(parents=True, exist_ok=True)
    parameters = " ".join(f"-chparam {name} {value}" for name, value in block.parameters.items())
    script = _SCRIPT.format(
        files=" ".join(map(str, sources())), module=block.module, parameters=parameters, liberty=LIBERTY
    )
    (folder / "script.ys").write_text(script)
    run_tool(["yosys", "-q", "script.ys"], folder)
    netlist, areas = Netlist.read(folder / "flat.json"), _areas(folder / "tree.json")
    buffered = netlist.buffered()
    return Synthesis(buffered, {**areas, "buffers": buffered.area - netlist.area}, folder)


def _areas(path: Path) -> dict[str, float]:
    modules, library = json.loads(path.read_text())["modules"], cells()

    @cache
    def of(kind: str) -> float:
        if kind in library:
            return library[kind].area
        return sum(of(cell["type"]) for cell in modules[kind]["cells"].values()) if kind in modules else 0.0

    areas: dict[str, float] = {}
    for name, cell in modules["top"]["cells"].items():
        own = "" if cell["type"] in library else re.sub(r"\[\d+\]", "", name)
        areas[own] = areas.get(own, 0.0) + of(cell["type"])
    return areas


def slack_ns(synthesis: Synthesis, clocked: bool = True) -> float:
    """The worst, at PERIOD_NS; negative if a path is too slow."""
    (synthesis.folder / "net.v").write_text(synthesis.netlist.verilog())
    port = "[get_ports clock]" if clocked else ""
    inputs = [name for name in synthesis.netlist.inputs if name != "clock"]
    text = _TIMING.format(
        liberty=LIBERTY, period=PERIOD_NS, port=port, inputs=" ".join(f"{n}*" for n in inputs)
    )
    (synthesis.folder / "time.tcl").write_text(text)
    said = run_tool(["sta", "-exit", "-no_splash", "time.tcl"], synthesis.folder)
    found = re.search(r"worst slack\s+(\S+)", said)
    if found is None:
        raise RuntimeError(f"{synthesis.folder}: OpenSTA says no slack: {said[-500:]}")
    return float(found[1])
