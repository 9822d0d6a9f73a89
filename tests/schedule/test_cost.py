"""The estimate that chooses a default schedule, against hand computations."""

from __future__ import annotations

import pytest

from tvm_vsq.hardware import load_hardware
from tvm_vsq.schedule import Convolution, Knobs
from tvm_vsq.schedule.cost import estimate_cycles, estimated_dram_bytes
from tvm_vsq.schedule.matrices import MatrixProduct

SHIPPED = load_hardware("vsq-accel")
DRAM = {
    "bytes_per_cycle": 16,
    "latency_cycles": 100,
    "burst_bytes": 64,
    "row_miss_cycles": 20,
}
TIMING = {"dma_setup_cycles": 8, "gemm_pipeline_cycles": 8, "ppu_pipeline_cycles": 10}
# 4/4/4/4, V = BO = 16: records of 9 bytes in inp and out, of 16 * 68 bits = 136 bytes in wgt, of 176 in par.
HARDWARE = SHIPPED.model_copy(
    update={
        "dram": SHIPPED.dram.model_copy(update=DRAM),
        "timing": SHIPPED.timing.model_copy(update=TIMING),
    }
)


@pytest.mark.parametrize("double_buffer", [True, False])
def test_a_pointwise_layer_in_two_tiles_of_rows_and_two_of_channels(double_buffer):
    work = Convolution(n=1, h=4, w=4, cv=2, kb=2)
    knobs = Knobs(2, 4, 2, 1, "k_outer", double_buffer)
    # 64 micro-ops in 4 steps, and 32 results in 2 tiles.
    body, finish = 64 + 4 * 8, 32 + 2 * 10
    # Four fills of 8 entries of inp and 2 of wgt, no two of them neighbours; par at once; twice 16 vectors of
    # out.
    moved = 4 * 8 * (9 - 1 + 64) + 4 * 2 * (136 - 1 + 64) + (2 * 176 - 1 + 64) + 2 * (16 * 9 - 1 + 64)
    moving = moved / 16 + (4 + 4 + 1 + 2) * (8 + 20)
    overlapped = moving + body / 4 + finish / 2 + 2 * 100
    expected = overlapped if double_buffer else body + finish + moving + 2 * 4 * 100
    assert moving > max(body, finish)
    assert estimate_cycles(work, knobs, HARDWARE) == expected


@pytest.mark.parametrize("double_buffer", [True, False])
def test_a_3x3_layer_with_a_residual_in_two_tiles_of_columns_and_two_of_blocks(double_buffer):
    work = Convolution(n=1, h=3, w=4, cv=2, kb=2, r=3, s=3, padding=(1, 1, 1, 1), has_residual=True)
    knobs = Knobs(3, 2, 1, 2, "hw_outer", double_buffer)
    body, finish = 12 * 2 * 2 * 9 + 4 * 8, 24 + 4 * 10
    # 5 x 4 pixels of 2 vectors, halo included, for each tile of columns, and weights for each tile: all
    # neighbours. Of a block's 6 vectors of residual and result, none are.
    moved = 2 * (40 * 9 - 1 + 64) + 4 * (18 * 136 - 1 + 64) + (2 * 176 - 1 + 64) + 2 * 4 * 6 * (9 - 1 + 64)
    moving = moved / 16 + (2 + 4 + 1 + 4 + 4) * (8 + 20)
    overlapped = moving + (body + finish) / 4 + 2 * 100
    expected = overlapped if double_buffer else body + finish + moving + 2 * 4 * 100
    assert estimate_cycles(work, knobs, HARDWARE) == expected


def test_of_uneven_tiles_everything_counts_as_often_as_it_is():
    """Five rows in tiles of two."""
    work = Convolution(n=1, h=5, w=4, cv=2, kb=2)
    body, finish = 80 + 6 * 8, 40 + 3 * 10
    # In six fills all 20 pixels of both vectors, no two neighbours, and all weights three times; 5/3 rows of
    # results on average, which are neighbours.
    moved = 40 * (9 - 1 + 64) + 3 * 4 * (136 - 1 + 64) + (2 * 176 - 1 + 64) + 3 * (40 / 3 * 9 - 1 + 64)
    moving = moved / 16 + (6 + 6 + 1 + 3) * (8 + 20)
    expected = moving + body / 6 + finish / 3 + 2 * 100
    assert estimate_cycles(work, Knobs(2, 4, 2, 1), HARDWARE) == pytest.approx(expected, rel=1e-12)


def test_what_the_array_does_hides_what_dram_does_where_it_takes_longer():
    work = Convolution(n=1, h=8, w=8, cv=4, kb=1, r=3, s=3, padding=(1, 1, 1, 1))
    knobs = Knobs(4, 8, 1, 4)
    body, finish = 64 * 4 * 9 + 2 * 8, 64 + 2 * 10
    # 6 x 10 pixels for each half, halo included.
    moved = 2 * (240 * 9 - 1 + 64) + (36 * 136 - 1 + 64) + (176 - 1 + 64) + 2 * (32 * 9 - 1 + 64)
    moving = moved / 16 + (2 + 1 + 1 + 2) * (8 + 20)
    assert moving < body
    assert estimate_cycles(work, knobs, HARDWARE) == body + (moving + finish) / 2 + 2 * 100


def test_post_processing_beside_the_array_is_what_a_layer_takes_whose_reductions_are_short():
    """Each result takes one micro-op, and one cycle of the PPU, whose pipeline is longer."""
    work = Convolution(n=1, h=32, w=32, cv=1, kb=1)
    body, finish = 1024 + 4 * 8, 1024 + 4 * 10
    moved = 4 * 2 * (256 * 9 - 1 + 64) + (136 - 1 + 64) + (176 - 1 + 64)
    moving = moved / 16 + (4 + 1 + 1 + 4) * (8 + 20)
    assert moving > finish  # 16 bytes a cycle are not enough for a vector in and one out
    knobs = Knobs(8, 32, 1, 1)
    assert estimate_cycles(work, knobs, HARDWARE) == moving + (body + finish) / 4 + 2 * 100
    fast = HARDWARE.model_copy(update={"dram": HARDWARE.dram.model_copy(update={"bytes_per_cycle": 64})})
    moving = moved / 64 + (4 + 1 + 1 + 4) * (8 + 20)
    assert estimate_cycles(work, knobs, fast) == finish + (body + moving) / 4 + 2 * 100


@pytest.mark.parametrize("tile_c", [1, 2])
def test_gathered_rows_are_no_neighbours(tile_c):
    """Each lane of a second operand is a row of vectors of 136 / 16 bytes, between those of other heads."""
    work = MatrixProduct(n=1, h=3, w=4, cv=2, kb=2)
    knobs = Knobs(1, 4, 2, tile_c, "hw_outer", True)
    fills = 3 * 2 // tile_c
    gathered = fills * 2 * 16 * (tile_c * 8.5 - 1 + 64)
    rows = fills * 4 * (9 - 1 + 64) if tile_c == 1 else fills * (8 * 9 - 1 + 64)
    moved = gathered + rows + (2 * 176 - 1 + 64) + 3 * (4 * 2 * 9 - 1 + 64)
    assert estimated_dram_bytes(work, knobs, HARDWARE) == moved
