"""Energy of a netlist with given operands: without delays, with them, and how it is made up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from delays import Delayed, prepared
from delays import toggles as delayed_toggles
from netlist import Instance, Netlist, toggles
from waveforms import Inputs, Run, simulated, wrong

from tvm_vsq.rtl import Block
from tvm_vsq.rtl.reference import Results

PARTS = ("multipliers", "tree", "scale unit", "accumulator", "logic", "registers", "clock")
# Instances of vector_mac; cells of other blocks are `logic`, and flip-flops `registers`, wherever they are.
_PLACES = {
    "multipliers": r"lane\[",
    "tree": r"tree\.",
    "scale unit": r"scaled\.scale\.",
    "accumulator": r".*accumulate",
}
_CELL_CLOCKS = 1_000_000  # that are simulated with delays: some seconds

Energies = dict[str, float]


@dataclass(frozen=True)
class Bench:
    """A block's netlist, in Icarus too if `delayed`; changes count after `warm` clocks."""

    block: Block
    netlist: Netlist
    warm: int
    delayed: Delayed | None


@dataclass(frozen=True)
class Measured:
    """pJ of a clock, by PARTS; delayed: with the delays of cells, if that was asked for."""

    transactions: int
    zero_pj: Energies
    delayed_pj: Energies | None

    def __str__(self) -> str:
        totals = [sum(parts.values()) for parts in (self.zero_pj, self.delayed_pj) if parts]
        return " to ".join(f"{pj:.1f}" for pj in totals) + " pJ"


def bench(block: Block, netlist: Netlist, warm: int, folder: Path | None, most: int) -> Bench:
    """With delays, of `most` clocks at most, if there is a folder for Icarus."""
    clocks = min(most, warm + 1 + max(40, _CELL_CLOCKS // len(netlist.instances)))
    return Bench(block, netlist, warm, prepared(netlist, folder, clocks, warm) if folder else None)


def check(block: Block, netlist: Netlist, inputs: Inputs, results: Results) -> int:
    """Transactions, in all of which the netlist computed `results`. Raises RuntimeError if it did not."""
    return _checked(block, netlist, inputs, results).transactions


def _checked(block: Block, netlist: Netlist, inputs: Inputs, results: Results) -> Run:
    run = simulated(netlist, block, inputs)
    if differ := wrong(run, block, results):
        raise RuntimeError(f"{block}: {differ} of {run.transactions} transactions differ from the reference")
    return run


def measure(bench: Bench, inputs: Inputs, results: Results, delays: bool = True, start: int = 0) -> Measured:
    """Energy on `inputs`, of which the netlist has to make `results`.

    With delays, only some from `start` on are simulated; what these multiply each part's energy by holds for
    all.
    """
    run = _checked(bench.block, bench.netlist, inputs, results)
    counted = run.transactions - 1 - bench.warm
    zero = parts_pj(bench.netlist, toggles(run.waves, run.transactions, bench.warm), counted)
    if bench.delayed is None or not delays:
        return Measured(run.transactions, zero, None)
    counted = bench.delayed.counted
    some = {net: wave >> start for net, wave in run.waves.items()}
    before = parts_pj(bench.netlist, toggles(some, bench.delayed.clocks, bench.warm), counted)
    after = parts_pj(bench.netlist, delayed_toggles(bench.delayed, run, start), counted)
    grown = {part: pj * after[part] / before[part] if part in before else pj for part, pj in zero.items()}
    return Measured(run.transactions, zero, grown)


def parts_pj(netlist: Netlist, changes: Mapping[str, float], clocks: int) -> Energies:
    """pJ of a clock, if nets change so often in `clocks`."""
    found = dict.fromkeys(PARTS, 0.0)
    for instance in netlist.instances:
        found[_part(instance)] += instance.energy_pj(changes) / clocks
    found["clock"] = netlist.clock_pj
    return {part: pj for part, pj in found.items() if pj}


def _part(instance: Instance) -> str:
    if instance.cell.data:
        return "registers"
    return next((part for part, place in _PLACES.items() if re.match(place, instance.place)), "logic")
