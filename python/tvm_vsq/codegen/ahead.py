"""Makes the next rows before those of now are done with, where that keeps the vector unit at work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from tvm_vsq.codegen.step import DRAM, Interval, Step


def make_rows_ahead(steps: Sequence[Step], made: Sequence[int]) -> list[Step]:
    """`steps` of one layer, where what makes the rows of a tile, up to the step before each of `made`, goes
    in front of what becomes of the rows of the tile before, unless either touches what the other one writes.

    The PPU works in order, and both makes rows and takes them at last: behind the rows of now, the next ones
    would be made so late that the vector unit waits for them.
    """
    ordered = list(steps)
    for first, end in pairwise(made):
        between = steps[first:end]
        stores = [place for place, step in enumerate(between, 1) if step.insn.name == "STORE"]
        now, ahead = between[: stores[-1]], between[stores[-1] :]
        if not (_touch(now, ahead) or _touch(ahead, now)):
            ordered[first:end] = [*ahead, *now]
    return ordered


def _touch(some: Iterable[Step], others: Iterable[Step]) -> bool:
    """Whether `some` write what `others` read or write."""
    written = {_place(step, each) for step in some for each in step.writes}
    touched = {_place(step, each) for step in others for each in (*step.reads, *step.writes)}
    return any(
        memory == other and first < last and begin < end
        for memory, first, end in written
        for other, begin, last in touched
    )


def _place(step: Step, interval: Interval) -> Interval:
    """The interval; of DRAM in its region, which shares no bytes with others of a layer."""
    memory, first, end = interval
    return (f"{memory} {step.region}", first, end) if memory == DRAM else interval
