"""Results to elements and scales: the block quantizer of `rtl/`."""

from __future__ import annotations

from collections.abc import Iterator

from tvm_vsq.hardware.components.component import Component
from tvm_vsq.hardware.components.post_processing import RESULT_BITS
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.pipeline import pipelines
from tvm_vsq.hardware.units import Adder, Register, Selector, Trial, Unit

_BLOCK, _EVENT = "quantizer", "quantize_lane_ops"


def quantizer(hardware: HardwareConfig) -> Iterator[Component]:
    """Without scales a rounding adder and a clip; with them the vector maximum and a division by subtraction.

    A quotient takes one subtraction a bit: activation_bits + 1 for an element (the last one rounds) in each
    lane, activation_scale_bits for the scale once in a vector. As a block enters in each cycle, each of them
    has a subtractor of its own.
    """
    lanes, activation = hardware.output_lanes, hardware.formats.activation
    magnitude = activation.bits + activation.scale_width + hardware.guard_bits
    # To count up, and to compare with a constant, takes half an adder each; three: of y and of two limits.
    halves = 3 * magnitude + (RESULT_BITS - magnitude) // 2
    yield _of("quantizer's magnitudes", Adder(halves // 2), lanes)
    yield _of("quantizer's saturation", Selector(2 * magnitude + activation.bits), lanes)
    scaled = activation.scale_bits is not None
    rounding = (magnitude + 2) if scaled else (magnitude + 2) // 2
    yield _of("quantizer's rounding", Adder(rounding + activation.bits // 2), lanes)
    if activation.scale_bits is None:
        yield _of("rounding and clip", Adder(RESULT_BITS), 0, {_EVENT: 2})
        yield _of("quantizer's registers", Register(activation.bits), lanes)
        return
    size, element_steps, scale_steps = activation.vector_size, activation.bits + 1, activation.scale_bits
    yield _of("vector maximum", Adder(RESULT_BITS), 0, {_EVENT: 1})
    vectors = max(1, lanes // size)
    yield _of("quantizer's comparators", Adder(magnitude), lanes - vectors)
    yield _of("quantizer's maxima", Selector(magnitude), lanes - vectors)
    yield _of(
        "divider",
        Adder(activation.bits + activation.scale_bits + hardware.guard_bits + 1),
        0,
        {_EVENT: element_steps + scale_steps / size},
    )
    # A step a bit of an element; the scale by additions of its width, some four of them.
    yield _of("quantizer's division", Trial(activation.scale_bits + 1), lanes * activation.bits)
    yield _of("quantizer's scales", Adder(4 * (activation.bits + activation.scale_bits)), vectors)
    yield _of("quantizer's registers", Register(_registers(hardware, magnitude)), 1)


def _of(name: str, unit: Unit, count: int, uses: dict[str, float] | None = None) -> Component:
    return Component(name, unit, count, uses or {}, "PPU", _BLOCK)


def _registers(hardware: HardwareConfig, magnitude: int) -> int:
    """Flip-flops: magnitudes while the largest and the scale are sought; what is left to divide."""
    activation, stages, lanes = hardware.formats.activation, pipelines(hardware), hardware.output_lanes
    vectors = max(1, lanes // activation.vector_size)
    bits, scale, cycles = activation.bits, activation.scale_width, stages.divide_cycles
    waiting = (stages.vector_blocks + 1) * lanes * (magnitude + 1)
    peaks = vectors * (stages.vector_blocks * (magnitude + 1) + (cycles + 1) * (scale + 1))
    dividing = lanes * ((cycles - 1) * (2 * scale + bits + 1) + bits + 1)
    return waiting + peaks + dividing
