"""The accelerators that docs/paper.md compares: equal but for their formats."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

MACHINES = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/paper/machines.py"))
PUBLISHED = ("6/3/-/4", "3/8/4/10", "4/8/-/8", "6/8/8/-")


@pytest.mark.parametrize("size", MACHINES["SIZES"])
@pytest.mark.parametrize("notation", [*MACHINES["FORMATS"], *PUBLISHED])
def test_all_have_the_same_multipliers_and_entries(notation: str, size: int) -> None:
    build = MACHINES["accelerator"]
    found, base = build((notation, size, None)), build((MACHINES["BASELINE"], size, None))
    assert found.macs_per_cycle == 256
    assert (found.notation, found.vector_size, found.output_lanes) == (notation, size, 256 // size)
    assert found.timing == base.timing
    for name, entries in base.depths.items():
        assert entries <= found.depths[name] <= 1.2 * entries  # whole KiB
    assert found.area("open-45nm").mm2 > 0  # its pipelines are long enough
