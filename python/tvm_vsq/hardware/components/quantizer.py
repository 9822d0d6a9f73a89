"""Results to elements and scales: the block quantizer of `rtl/`."""

from __future__ import annotations

from collections.abc import Iterator

from tvm_vsq.formats.digits import digit_count
from tvm_vsq.hardware.components.component import Component
from tvm_vsq.hardware.components.post_processing import RESULT_BITS
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.pipeline import pipelines
from tvm_vsq.hardware.units import Adder, Register, Selector, Trial, Unit

_BLOCK, _EVENT = "quantizer", "quantize_lane_ops"


def quantizer(hardware: HardwareConfig) -> Iterator[Component]:
    """Without scales a rounding adder and a clip; with them the vector maximum, its scale and a division.

    An element takes a subtraction for each bit that it may have, each of its own unit, as a block enters in
    every cycle. The scale of a vector is found by additions of its width, without a divider.
    """
    lanes, activation = hardware.output_lanes, hardware.formats.activation
    bits = hardware.widest_activation_bits
    magnitude = bits + activation.scale_width + hardware.guard_bits
    # To count up, and to compare with a constant, takes half an adder each; three: of y and of two limits.
    halves = 3 * magnitude + (RESULT_BITS - magnitude) // 2
    yield _of("quantizer's magnitudes", Adder(halves // 2), lanes, {_EVENT: 1})
    yield _of("quantizer's saturation", Selector(2 * magnitude + bits), lanes)
    scaled = activation.scale_bits is not None
    rounding = (magnitude + 2) if scaled else (magnitude + 2) // 2
    yield _of("quantizer's rounding", Adder(rounding + bits // 2), lanes, {_EVENT: 1})
    if activation.scale_bits is None:
        yield _of("quantizer's registers", Register(bits), lanes, {_EVENT: 1})
        return
    size = activation.vector_size
    vectors = max(1, lanes // size)
    yield _of("quantizer's comparators", Adder(magnitude), lanes - vectors, {_EVENT: 1 - 1 / size})
    yield _of("quantizer's maxima", Selector(magnitude), lanes - vectors)
    step = Trial(activation.scale_bits + 1)
    yield _of("quantizer's division", step, lanes * bits, {_EVENT: bits})
    # Some four additions of the width of an element and a scale.
    addition, any_form = Adder(bits + activation.scale_bits), hardware.precision_passes > 1
    yield _of("quantizer's scales", addition, 0 if any_form else 4 * vectors, {_EVENT: 1 / size})
    if any_form:
        yield from _any_form(hardware, vectors)
    yield _of("quantizer's registers", Register(_registers(hardware, magnitude)), 1, {_EVENT: 1 / lanes})


def _any_form(hardware: HardwareConfig, vectors: int) -> Iterator[Component]:
    """Where instructions say how many bits results have: for each number of bits a quotient, two additions
    of a scale's width for each piece of so many bits that a scale has; the choice of one, and of digits.
    """
    activation, bits = hardware.formats.activation, hardware.widest_activation_bits
    scale, narrow = activation.scale_width, hardware.formats.second_record.bits
    additions = sum(-(-scale // ones) for ones in range(2, bits + 1))
    yield _of("quantizer's scales of any form", Adder(2 * scale), additions * vectors)
    digits = min(hardware.precision_passes, digit_count(bits, narrow))
    split = hardware.output_lanes * digits * (activation.bits - narrow)
    yield _of("quantizer's choices of a form", Selector(vectors * bits * scale + split), 1)
    yield _of("quantizer's limit", Adder(bits + scale), 1)


def _of(name: str, unit: Unit, count: int, uses: dict[str, float] | None = None) -> Component:
    return Component(name, unit, count, uses or {}, "PPU", _BLOCK)


def _registers(hardware: HardwareConfig, magnitude: int) -> int:
    """Flip-flops: magnitudes while the largest and the scale are sought; what is left to divide."""
    activation, stages, lanes = hardware.formats.activation, pipelines(hardware), hardware.output_lanes
    vectors = max(1, lanes // activation.vector_size)
    bits, scale, cycles = hardware.widest_activation_bits, activation.scale_width, stages.divide_cycles
    waiting = (stages.vector_blocks + 1) * lanes * (magnitude + 1)
    peaks = vectors * (stages.vector_blocks * (magnitude + 1) + (cycles + 1) * (scale + 1))
    dividing = lanes * ((cycles - 1) * (2 * scale + bits + 1) + bits + 1)
    return waiting + peaks + dividing
