"""How long scratchpad entries are in use, from the times of the instructions that fill and use them."""

from __future__ import annotations

import numpy as np
import pytest
from tests.runtime.conftest import Conv

PADS = ("uop", "inp", "wgt", "acc", "par", "out")
TRANSFER, END = 3, 4


@pytest.mark.parametrize("bins", [1, 3, 40, 10_000])
def test_entries_are_in_use_from_their_filling_to_their_last_use(small_conv: Conv, bins: int) -> None:
    # LOADs of 9 + 1 micro-ops, 9 blocks, par, 16 vectors; GEMM that resets, GEMM, PPU, STORE of 4 pixels
    trace = small_conv.program().module()["get_trace"]("main", bins)
    times = np.frombuffer(bytes(trace["times"]), np.int64).reshape(-1, 6)
    alive = np.frombuffer(bytes(trace["alive"]), np.int64).reshape(-1, len(PADS))
    uop, wgt, par, inp, reset, gemm, ppu, store = range(8)

    def life(first: int, last: int) -> int:
        return int(times[last, END] - times[first, TRANSFER])

    assert dict(zip(PADS, alive.sum(axis=0), strict=True)) == {
        "uop": 9 * life(uop, gemm) + life(uop, reset),
        "inp": 16 * life(inp, gemm),
        "wgt": 9 * life(wgt, gemm),
        "acc": 4 * life(reset, ppu),
        "par": life(par, ppu),
        "out": 4 * life(ppu, store),
    }
    assert len(alive) <= bins
    depths = [small_conv.hw.depths[pad] for pad in PADS]
    assert (alive <= int(trace["bin_cycles"]) * np.array(depths)).all()


def test_a_life_lies_in_the_intervals_that_it_spans(small_conv: Conv) -> None:
    trace = small_conv.program().module()["get_trace"]("main", 50)
    times = np.frombuffer(bytes(trace["times"]), np.int64).reshape(-1, 6)
    alive = np.frombuffer(bytes(trace["alive"]), np.int64).reshape(-1, len(PADS))[:, PADS.index("wgt")]
    width = int(trace["bin_cycles"])
    begin, end = int(times[1, TRANSFER]), int(times[5, END])
    overlaps = [max(0, min(end, (i + 1) * width) - max(begin, i * width)) for i in range(len(alive))]
    assert alive.tolist() == [9 * cycles for cycles in overlaps]
