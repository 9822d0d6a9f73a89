"""Loads constants while what comes before them in the program computes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from tvm_vsq.codegen.step import Step
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import Insn

_SLACK = 4
"""Cycles of computation for each cycle that a transfer takes by itself: others go on meanwhile."""

_PIECE_BYTES = 2048
"""LOADs are executed in order, so a longer one would hold up the pixels that are wanted next."""


def prefetch(steps: Sequence[Step], hardware: HardwareConfig) -> list[Step]:
    """`steps` in order, but for LOADs of constants.

    These move, a piece at a time, in front of steps that do not touch their scratchpad entries, until there
    is computation enough to hide them.
    """
    ordered: list[Step] = []
    for constant, group in groupby(steps, lambda step: step.constant):
        if constant and ordered:
            _insert(ordered, [piece for step in group for piece in _pieces(step, hardware)], hardware)
        else:
            ordered += group
    return ordered


def _insert(steps: list[Step], pieces: Sequence[Step], hardware: HardwareConfig) -> None:
    """Put LOADs, which are wanted behind all `steps`, among them."""
    left = sum([_cycles(piece, hardware) for piece in pieces])
    for piece in pieces:
        wanted = _SLACK * left + 2 * hardware.dram.latency_cycles
        steps.insert(_position(steps, piece, wanted), piece)
        left -= _cycles(piece, hardware)


def _position(steps: Sequence[Step], load: Step, wanted: int) -> int:
    """In front of which step `load` is to go.

    Where it has to wait for a step, what the next computation wants is loaded first: meanwhile, that is free.
    """
    found, computing = 0, len(steps)
    for index in range(len(steps) - 1, -1, -1):
        if _conflict(steps[index], load):
            return computing
        found += _computed(steps[index])
        computing = index if _computed(steps[index]) and not _continues(steps, index) else computing
        if found >= wanted:
            return index
    return 0


def _pieces(load: Step, hardware: HardwareConfig) -> Iterator[Step]:
    """LOADs that together do the same; only of what is contiguous."""
    fields, ((memory, *_),) = load.insn.fields, load.writes
    record = hardware.record_bytes[memory]
    size = max(1, _PIECE_BYTES // record)
    count = fields["z_size"]
    if fields["x_size"] * fields["y_size"] != 1 or count <= size:
        yield load
        return
    for start in range(0, count, size):
        entries = min(size, count - start)
        moved = {
            "sram_base": fields["sram_base"] + start,
            "dram_base": fields["dram_base"] + start * record,
            "z_size": entries,
        }
        written = (memory, moved["sram_base"], moved["sram_base"] + entries)
        insn = Insn("LOAD", {**fields, **moved})
        yield replace(load, insn=insn, writes=(written,), tokens=set())


def _conflict(step: Step, load: Step) -> bool:
    return any(
        memory == other and first < last and begin < end
        for memory, first, end in load.writes
        for other, begin, last in (*step.reads, *step.writes)
    )


def _continues(steps: Sequence[Step], index: int) -> bool:
    """Whether this vector program goes on with what was computed just before, as a table does: no LOAD is
    wanted for it.
    """
    return steps[index].insn.name == "VEC" and index > 0 and steps[index - 1].engine != "load"


def _computed(step: Step) -> int:
    """Cycles of its engine that an instruction with micro-ops takes, about."""
    fields = step.insn.fields
    return fields["uop_count"] * fields["iter_out"] * fields["iter_in"] if "uop_count" in fields else 0


def _cycles(load: Step, hardware: HardwareConfig) -> int:
    """Cycles of DRAM that a LOAD takes, about."""
    fields, ((memory, *_),) = load.insn.fields, load.writes
    entries = fields["z_size"] * fields["x_size"] * fields["y_size"]
    moving = entries * hardware.record_bytes[memory] // hardware.dram.bytes_per_cycle
    return hardware.timing.dma_setup_cycles + moving
