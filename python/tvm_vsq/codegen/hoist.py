"""Loads the next rows before what the program of those before them loads in its course."""

from __future__ import annotations

from collections.abc import Sequence

from tvm_vsq.codegen.step import DRAM, Step, overlap


def hoist_rows(steps: Sequence[Step]) -> list[Step]:
    """`steps` of one layer, where LOADs of what is no constant go in front of all steps that they need not
    follow.

    The load engine works in order: behind parameters that wait for the PPU, the next rows would wait as well.
    """
    ordered: list[Step] = []
    for step in steps:
        place = len(ordered)
        if step.insn.name == "LOAD" and not step.constant:
            while place and not _follows(step, ordered[place - 1]):
                place -= 1
        ordered.insert(place, step)
    return ordered


def _follows(load: Step, before: Step) -> bool:
    """Whether `load` has to stay behind a step: another load of its kind, or one that touches the same."""
    if before.insn.name == "LOAD" and not before.constant:
        return True
    stored = [interval for interval in before.writes if interval[0] == DRAM and before.region == load.region]
    if overlap(load.reads, stored):
        return True
    inside = [interval for interval in (*before.reads, *before.writes) if interval[0] != DRAM]
    return overlap(load.writes, inside)
