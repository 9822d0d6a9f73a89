"""Strided copies become LOAD-shaped transfers that fill exactly the right scratchpad entries."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.codegen.dma import DmaAxis, DmaLimits, plan_transfers

SMALL = DmaLimits(size=5, pad=2, x_stride=20, y_stride=60)


@st.composite
def boxes(draw):
    """A box of a dense tensor: extents, DRAM gaps and padding per axis, dense in the scratchpad."""
    rank = draw(st.integers(1, 4))
    axes, dram, sram = [], 1, 1
    for position in range(rank):
        size = draw(st.integers(0, 8))
        before, after = draw(st.sampled_from([(0, 0), (1, 0), (0, 3), (2, 2), (7, 1)]))
        if size + before + after == 0:
            size = 1
        step = draw(st.sampled_from([1, 1, 2])) if position else 1
        axes.insert(0, DmaAxis(size, dram * step, sram, before, after))
        dram *= size * step + draw(st.integers(0, 2))
        dram = max(dram, 1)
        sram *= size + before + after
    return tuple(axes)


@given(boxes())
def test_transfers_fill_every_entry_once_with_the_right_record(axes):
    expected = {}
    for index in product(*(range(axis.extent) for axis in axes)):
        entry = sum(i * axis.sram for i, axis in zip(index, axes, strict=True))
        inside = [i - axis.before for i, axis in zip(index, axes, strict=True)]
        real = all(0 <= i < axis.size for i, axis in zip(inside, axes, strict=True))
        expected[entry] = sum(i * axis.dram for i, axis in zip(inside, axes, strict=True)) if real else None
    found = {}
    for transfer in plan_transfers(axes, SMALL):
        for entry, record in run(transfer):
            assert entry not in found
            found[entry] = record
    assert found == expected


def run(transfer):
    """(entry, record or None for zeros) of one LOAD, as docs/isa.md defines it."""
    names = ("z_size", "x_size", "y_size", "x_stride", "y_stride", "y_pad_top", "y_pad_bottom", "x_pad_left")
    f = {**dict.fromkeys((*names, "x_pad_right"), 0), **dict(transfer.fields)}
    assert all(f[name] <= SMALL.size for name in ("z_size", "x_size", "y_size"))
    assert all(f[name] <= SMALL.pad for name in ("y_pad_top", "y_pad_bottom", "x_pad_left", "x_pad_right"))
    assert f["x_stride"] <= SMALL.x_stride
    assert f["y_stride"] <= SMALL.y_stride
    rows = f["y_pad_top"] + f["y_size"] + f["y_pad_bottom"]
    columns = f["x_pad_left"] + f["x_size"] + f["x_pad_right"]
    assert rows * columns * f["z_size"] > 0
    for i, (y, x, z) in enumerate(product(range(rows), range(columns), range(f["z_size"]))):
        row, column = y - f["y_pad_top"], x - f["x_pad_left"]
        inside = 0 <= row < f["y_size"] and 0 <= column < f["x_size"]
        record = transfer.dram + row * f["y_stride"] + column * f["x_stride"] + z
        yield transfer.sram + i, record if inside else None


def test_a_contiguous_box_is_one_transfer():
    axes = (DmaAxis(4, 12, 12), DmaAxis(3, 4, 4), DmaAxis(4, 1, 1))
    (only,) = plan_transfers(axes, DmaLimits(1023, 15, 4095, 65535))
    assert dict(only.fields) == {"z_size": 48, "x_size": 1, "y_size": 1}


def test_a_halo_tile_is_one_transfer():
    axes = (DmaAxis(9, 56 * 4, 11 * 4, 1, 0), DmaAxis(10, 4, 4, 0, 1), DmaAxis(4, 1, 1))
    (only,) = plan_transfers(axes, DmaLimits(1023, 15, 4095, 65535))
    sizes = {"z_size": 4, "x_size": 10, "y_size": 9, "x_stride": 4, "y_stride": 224}
    assert dict(only.fields) == {**sizes, "y_pad_top": 1, "x_pad_right": 1}
