"""Where the PPU turns vectors along pixels: the block transposer of `rtl/`."""

from __future__ import annotations

from collections.abc import Iterator

from tvm_vsq.hardware.components.component import Component
from tvm_vsq.hardware.components.post_processing import RESULT_BITS
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.units import GatedRegister, Selector, Sram


def transposer(hardware: HardwareConfig) -> Iterator[Component]:
    """Results of vector_size pixels of a block, twice: one is filled while the other is read."""
    lanes, size = hardware.output_lanes, hardware.vector_size
    held = 2 * size * lanes * RESULT_BITS
    # Their energy is that of a small memory, their area that of the flip-flops that they are.
    memory = Sram(held / 8192, lanes * RESULT_BITS, 1)
    yield Component("PPU transposing", memory, 0, {"transpose_lane_ops": 2 * RESULT_BITS}, "PPU")
    yield _of("PPU transposer", GatedRegister(held))
    # A library without clock gates keeps a number by choosing between it and another one.
    yield _of("PPU transposer's keeping", Selector(held))
    # Of what is read, the lanes of a block in one cycle, and those of the other buffer, or of the last pixel.
    yield _of("PPU transposer's choice", Selector(held))
    yield _of("PPU transposer's result", GatedRegister(lanes * RESULT_BITS))


def _of(name: str, unit: GatedRegister | Selector) -> Component:
    return Component(name, unit, 1, {}, "PPU", "transposer")
