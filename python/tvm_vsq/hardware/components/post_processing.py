"""Accumulators to results: `output_lanes` times the block ppu_lane of `rtl/`."""

from __future__ import annotations

from collections.abc import Iterator

from tvm_vsq.hardware.components.component import Component
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.memories import PARAMETER_BITS
from tvm_vsq.hardware.pipeline import pipelines
from tvm_vsq.hardware.units import Adder, Multiplier, Register, Selector, Shifter, Unit

RESULT_BITS = 32  # width of the PPU's result y
_SHIFT_BITS = 6
_FLAGS = 3  # ReLU, residual, its sign
_BLOCK = "ppu_lane"


def post_processing(hardware: HardwareConfig) -> Iterator[Component]:
    """acc * mult, rounding and shift at the product's width; bias, ReLU and clip at 32 bits; a residual."""
    lanes, event = hardware.output_lanes, "ppu_lane_ops"
    acc, mult = hardware.accumulator_bits, hardware.multiplier_bits
    product = acc + mult
    yield _of("PPU multiplier", Multiplier(acc, mult), lanes, {event: 1})
    yield _of("PPU multiplier's sign", Adder(mult), lanes)
    yield _of("PPU rounding and shift", Adder(product), 0, {event: 2})
    yield _of("PPU shifter", Shifter(product + 1, _SHIFT_BITS), lanes)
    yield _of("PPU bias, ReLU and clip", Adder(RESULT_BITS), 0, {event: 3})
    # The halves of the product; two for four terms, at the widest of them; the clip compares.
    yield _of("PPU adders", Adder(product + 2 * (product + 2) + RESULT_BITS), lanes)
    yield _of("PPU clip", Selector(3 * RESULT_BITS), lanes)
    yield from _residual(hardware)
    yield _of("PPU registers", Register(_registers(hardware)), lanes, {event: 1})


def _of(name: str, unit: Unit, count: int, uses: dict[str, float] | None = None) -> Component:
    return Component(name, unit, count, uses or {}, "PPU", _BLOCK)


def _residual(hardware: HardwareConfig) -> Iterator[Component]:
    """element * scale * mult, rounding and shift, and the sum, which is among the PPU's adders."""
    lanes, activation, event = hardware.output_lanes, hardware.formats.activation, "residual_lane_ops"
    element = hardware.widest_activation_bits
    if activation.scale_bits is not None:
        scale = Multiplier(element, activation.scale_bits)
        yield _of("residual scale", scale, lanes, {event: 1})
    bits = element + activation.scale_width
    factor = PARAMETER_BITS["mult"]
    yield _of("residual multiplier", Multiplier(bits, factor), lanes, {event: 1})
    yield _of("residual rounding and shift", Adder(bits + factor), 0, {event: 2})
    yield _of("residual sum", Adder(RESULT_BITS), 0, {event: 1})
    if digits := element - activation.bits:
        yield _of("residual's digits", Selector(digits), lanes)
    yield _of("residual shifter", Shifter(bits + factor + 2, _SHIFT_BITS), lanes)


def _registers(hardware: HardwareConfig) -> int:
    """Flip-flops of a lane, stage by stage."""
    activation, cycles = hardware.formats.activation, pipelines(hardware).multiply_cycles
    bits, factor = hardware.widest_activation_bits + activation.scale_width, PARAMETER_BITS["mult"]
    acc, mult = hardware.accumulator_bits, hardware.multiplier_bits
    later = 2 * RESULT_BITS + 1  # bias, clip, ReLU, which wait for the product
    read = acc + mult + 2 * _SHIFT_BITS + later + _FLAGS - 1 + bits + factor
    multiply = acc + mult + (cycles > 1) * (2 * acc + mult) + cycles * (later + 2 * _SHIFT_BITS)
    residual = (cycles > 1) * (bits + factor + 1) + bits + factor + 1
    shift = acc + mult + 1 + bits + factor + 2 + later
    return read + multiply + residual + shift + RESULT_BITS
