"""Lets the PPU make the rows of a tile while those of the tile before are still worked on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tvm_vsq.codegen.step import DRAM, Interval, Step, overlap

_VEC_CYCLES = 2
"""Of an entry, with another one that may lie in the same bank (docs/simulator.md)."""


def overlap_rows(steps: Sequence[Step]) -> list[Step]:
    """`steps` of one layer, where the PPU makes rows before it takes those of the tile before, if that
    touches nothing of these, and is sooner done.

    The PPU works in order: behind rows that wait for the vector unit, the next ones would wait as well. Made
    before them, they wait for the array, which has the next tile's accumulators only when those are taken.
    """
    ordered: list[Step] = []
    for step in steps:
        ordered.append(step)
        if not step.makes_rows:
            continue
        first = _behind_vectors(ordered)
        finish = [each for each in ordered[first:] if _finishes(each)]
        others = [each for each in ordered[first:] if not _finishes(each)]
        pays = _pays(others, _rows_before(ordered[:first]), finish)
        if pays and not any(_conflict(late, early) for late in finish for early in others):
            ordered[first:] = [*others, *finish]
    return ordered


def _behind_vectors(steps: Sequence[Step]) -> int:
    """The place behind the last step of the vector unit; behind all if there is none."""
    vectors = (index for index in range(len(steps), 0, -1) if steps[index - 1].engine == "vector")
    return next(vectors, len(steps))


def _rows_before(steps: Sequence[Step]) -> Sequence[Step]:
    """The last steps, those that work on rows once they are made."""
    made = (index for index in range(len(steps), 0, -1) if steps[index - 1].makes_rows)
    return steps[next(made, len(steps)) :]


def _finishes(step: Step) -> bool:
    """Whether a step takes rows, and stores what becomes of them."""
    return step.engine in ("ppu", "store") and not step.makes_rows


def _pays(array: Sequence[Step], rows: Sequence[Step], finish: Sequence[Step]) -> bool:
    """Whether tiles follow each other faster, two of them at a time in the accumulators."""
    body, vector = _cycles(array, "compute"), _cycles(rows, "vector")
    taken = _cycles([*array, *finish], "ppu")
    return max(body + taken, vector, (body + vector + taken) / 2) < max(body, vector + taken)


def _cycles(steps: Iterable[Step], engine: str) -> int:
    """Of an engine, about."""
    return sum(_entries(step) for step in steps if step.engine == engine)


def _entries(step: Step) -> int:
    fields = step.insn.fields
    if step.insn.name == "PPU":
        return fields["pixels"] * fields["blocks"]
    return (
        fields["uop_count"]
        * fields["iter_out"]
        * fields["iter_in"]
        * (_VEC_CYCLES if step.insn.name == "VEC" else 1)
    )


def _conflict(one: Step, other: Step) -> bool:
    """Whether one of two steps writes what the other one touches."""
    return overlap(_of(one, one.writes, other), (*other.reads, *other.writes)) or overlap(
        _of(one, one.reads, other), other.writes
    )


def _of(one: Step, touched: Sequence[Interval], other: Step) -> list[Interval]:
    """Without DRAM, where the other step touches another region of that."""
    return [each for each in touched if each[0] != DRAM or one.region == other.region]
