"""The standard cells of osu018 (Debian package qflow-tech-osu018), read in place from its Liberty file.

A 0.18 um library of 32 cells without wire loads. What is taken from it is relative: docs/area.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from liberty.parser import parse_liberty

FOLDER = Path("/usr/share/qflow/tech/osu018")
LIBERTY, VERILOG = FOLDER / "osu018_stdcells.lib", FOLDER / "osu018_stdcells.v"
SUPPLY_V = 1.8  # nom_voltage
GATE = "NAND2X1"  # areas are quoted in its area: gate equivalents
_SLEW, _LOAD = 1, 2  # places in the tables of internal energy: 0.18 ns, and 0.025 pF or as near as there is


@dataclass(frozen=True)
class Cell:
    """area in um2, leakage in nW, capacitances in pF by input pin.

    functions: a Python expression of input pins on waveforms, for each output pin; a flip-flop has none, and
    its output is the input `data` of a clock before. energy_pj: inside the cell, of a change of an output, or
    of a flip-flop's data without one. clock_pj: of a clock period, at the clock pin and behind it.
    """

    name: str
    area: float
    leakage_nw: float
    capacitance: dict[str, float]
    functions: dict[str, str]
    energy_pj: dict[str, float]
    data: str = ""
    clock_pj: float = 0.0


@lru_cache(maxsize=1)
def cells() -> dict[str, Cell]:
    """Every cell that a netlist of one clock may have: no latches, resets, falling edges, tri-states."""
    library = parse_liberty(LIBERTY.read_text(encoding="latin-1"))
    found = map(_cell, filter(_is_plain, library.get_groups("cell")))
    return {cell.name: cell for cell in found}


@lru_cache(maxsize=1)
def gate_um2() -> float:
    """Area of one gate equivalent."""
    return cells()[GATE].area


def _is_plain(group: Any) -> bool:
    kept = [ff for ff in group.get_groups("ff") if "clear" not in ff and "!" not in str(ff["clocked_on"])]
    return (
        not group.get_groups("latch")
        and len(kept) == len(group.get_groups("ff"))
        and not any("three_state" in pin for pin in group.get_groups("pin"))
    )


def _cell(group: Any) -> Cell:
    pins = {str(pin.args[0]): pin for pin in group.get_groups("pin")}
    inputs = {name: pin for name, pin in pins.items() if pin["direction"] == "input"}
    outputs = {name: pin for name, pin in pins.items() if pin["direction"] == "output"}
    flip_flops = group.get_groups("ff")
    clock = str(flip_flops[0]["clocked_on"]).strip('"') if flip_flops else ""
    energy = {name: _table_mean(pin) for name, pin in pins.items()}
    clock_pj = 0.0
    if clock:
        # Up and down once each period: the tables are of one change; half C V^2 of the pin for each.
        clock_pj = 2 * energy[clock] + float(inputs[clock]["capacitance"]) * SUPPLY_V**2
    return Cell(
        str(group.args[0]),
        float(group["area"]),
        float(group["cell_leakage_power"]),
        {name: float(pin["capacitance"]) for name, pin in inputs.items()},
        {} if clock else {name: _expression(str(pin["function"])) for name, pin in outputs.items()},
        energy,
        str(flip_flops[0]["next_state"]).strip('"') if flip_flops else "",
        clock_pj,
    )


def _table_mean(pin: Any) -> float:
    """Internal energy in pJ of a change of `pin`: the mean of rise and fall, and of what causes it."""
    found = []
    for power in pin.get_groups("internal_power"):
        for edge in ("rise_power", "fall_power"):
            for table in power.get_groups(edge):
                rows = [[float(n) for n in str(row).strip('"').split(",")] for row in table["values"]]
                row = rows[min(_LOAD, len(rows) - 1)]
                found.append(row[min(_SLEW, len(row) - 1)])
    return sum(found) / len(found) if found else 0.0


def _expression(function: str) -> str:
    """Liberty's notation as Python's: juxtaposition is and, + is or, ! is not (of all bits of `ones`)."""
    text = function.strip('"')
    text = re.sub(r"(?<=[\w)])\s+(?=[\w(!])", " & ", text)
    text = re.sub(r"!(\w+)", r"(ones ^ \1)", text)
    return text.replace("+", " | ").replace("!", "ones ^ ")
