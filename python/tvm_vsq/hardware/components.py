"""What an accelerator is made of: every unit that computes or stores, how many, and which events use it.

Energy is events times uses times what one operation of the unit costs. A unit takes one operation a cycle,
and there are as many as the cycles of docs/simulator.md ask for: an array of one micro-op and a PPU of one
accumulator block in a cycle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tvm_vsq.formats.table import TABLE_INPUT_BITS, TABLE_SEGMENTS, TABLE_VALUE_BITS
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.engines import ENGINES, INSTRUCTION_BITS
from tvm_vsq.hardware.memories import MEMORIES
from tvm_vsq.hardware.units import Adder, AdderTree, DramChannel, Multiplier, Sram, Unit

_PPU_BITS = 32  # width of the PPU's result y
_COEFFICIENT_BITS = 32  # width of VEC's immediate


@dataclass(frozen=True)
class Component:
    """`count` units of one kind.

    uses: operations of one unit for each event, by its name in EVENTS; empty if no event counts it.
    """

    name: str
    unit: Unit
    count: int
    uses: Mapping[str, float] = field(default_factory=dict)


def components(hardware: HardwareConfig) -> tuple[Component, ...]:
    """Everything in `hardware`. What a format does without is left out."""
    return (
        *_array(hardware),
        *_window(hardware),
        *_scale_units(hardware),
        *_vector_unit(hardware),
        *_post_processing(hardware),
        *_residual(hardware),
        *_quantizer(hardware),
        *_memories(hardware),
    )


def _array(hardware: HardwareConfig) -> Iterator[Component]:
    size, lanes = hardware.vector_size, hardware.output_lanes
    product_bits = hardware.weight_bits + hardware.activation_bits
    multiplier = Multiplier(hardware.weight_bits, hardware.activation_bits)
    uses = {"macs": 1.0, "window_macs": float(hardware.input_slices)}
    sums = {event: count / size for event, count in uses.items()}
    yield Component("multiplier", multiplier, size * lanes, uses)
    yield Component("adder tree", AdderTree(size, product_bits), lanes, sums)
    yield Component("accumulating adder", Adder(hardware.accumulator_bits), lanes, sums)


def _window(hardware: HardwareConfig) -> Iterator[Component]:
    """Element times scale of the places that enter a window, and registers, which every product reads."""
    activation, lanes = hardware.formats.activation, hardware.group_channels
    bits = activation.bits + activation.scale_width
    if activation.scale_bits is not None:
        unit = Multiplier(activation.bits, activation.scale_bits)
        yield Component("window's scale multiplier", unit, lanes, {"window_lanes": 1})
    registers = Sram(hardware.window_taps * lanes * bits / 8192, lanes * bits, 1)
    yield Component("window registers", registers, 1, {"window_lanes": bits, "window_macs": bits})


def _scale_units(hardware: HardwareConfig) -> Iterator[Component]:
    """s_w * s_a, rounded to P bits, and the dot product times it. Adding that up is the array's."""
    formats, lanes = hardware.formats, hardware.output_lanes
    weight, activation = formats.weight.scale_bits, formats.activation.scale_bits
    if weight is not None and activation is not None:
        yield Component("scale multiplier", Multiplier(weight, activation), lanes, {"scale_products": 1})
    if formats.product_shift:
        yield Component("scale rounding", Adder(formats.full_product_bits), lanes, {"scale_macs": 1})
    if formats.product_bits:
        sum_bits = AdderTree(hardware.vector_size, formats.weight.bits + formats.activation.bits).sum_bits
        unit = Multiplier(sum_bits, formats.product_bits)
        yield Component("scaling multiplier", unit, lanes, {"scale_macs": 1})


def _vector_unit(hardware: HardwareConfig) -> Iterator[Component]:
    """element * scale of what is unpacked, that times a coefficient, and an adder, which compares by
    subtracting; moving alone uses it as well. An accumulator times what is unpacked, rounded.

    A coefficient has as many bits as a product that fits an accumulator leaves it.
    """
    lanes, activation = hardware.output_lanes, hardware.formats.activation
    if activation.scale_bits is not None:
        unit = Multiplier(activation.bits, activation.scale_bits)
        yield Component("vector unit's scale multiplier", unit, lanes, {"unpack_lane_ops": 1})
    unit_adder = Adder(hardware.accumulator_bits)
    yield Component("vector unit's comparator", unit_adder, lanes, {"vector_lane_ops": 1})
    bits = activation.bits + activation.scale_width
    unit_factor = Multiplier(bits, min(_COEFFICIENT_BITS, max(1, hardware.accumulator_bits - bits)))
    yield Component("vector unit's coefficient", unit_factor, lanes, {"coefficient_lane_ops": 1})
    product = Multiplier(hardware.accumulator_bits, bits)
    yield Component("vector unit's multiplier", product, lanes, {"product_lane_ops": 1})
    rounding = Adder(hardware.accumulator_bits + bits)
    yield Component("vector unit's rounding and shift", rounding, 2 * lanes, {"product_lane_ops": 2})
    # Every lane has its own copy of a table, as each of them wants another segment.
    segment, inside = 2 * TABLE_VALUE_BITS, TABLE_INPUT_BITS - (TABLE_SEGMENTS - 1).bit_length()
    copy = Sram(TABLE_SEGMENTS * segment / 8192, segment, 1)
    yield Component("vector unit's tables", copy, lanes, {"table_lane_ops": segment, "table_fill_bits": 1})
    slope = Multiplier(TABLE_VALUE_BITS, inside)
    yield Component("vector unit's slopes", slope, lanes, {"table_lane_ops": 1})
    sums = Adder(TABLE_VALUE_BITS)
    yield Component("vector unit's clip and rounding of segments", sums, 3 * lanes, {"table_lane_ops": 3})


def _post_processing(hardware: HardwareConfig) -> Iterator[Component]:
    """acc * mult, rounding adder and shifter at the product's width; bias, ReLU and clip at 32 bits."""
    lanes, event = hardware.output_lanes, "ppu_lane_ops"
    multiplier = Multiplier(hardware.accumulator_bits, hardware.multiplier_bits)
    product = Adder(hardware.accumulator_bits + hardware.multiplier_bits)
    yield Component("PPU multiplier", multiplier, lanes, {event: 1})
    yield Component("PPU rounding and shift", product, 2 * lanes, {event: 2})
    yield Component("PPU bias, ReLU and clip", Adder(_PPU_BITS), 3 * lanes, {event: 3})


def _residual(hardware: HardwareConfig) -> Iterator[Component]:
    """element * scale * mult, rounding adder and shifter, and the sum. No event counts them."""
    lanes, activation = hardware.output_lanes, hardware.formats.activation
    if activation.scale_bits is not None:
        yield Component("residual scale", Multiplier(activation.bits, activation.scale_bits), lanes)
    bits = activation.bits + activation.scale_width
    yield Component("residual multiplier", Multiplier(bits, hardware.multiplier_bits), lanes)
    yield Component("residual rounding and shift", Adder(bits + hardware.multiplier_bits), 2 * lanes)
    yield Component("residual adder", Adder(_PPU_BITS), lanes)


def _quantizer(hardware: HardwareConfig) -> Iterator[Component]:
    """Without scales a rounding adder and a clip; with them the vector maximum and a division by subtraction.

    A quotient takes one subtraction a bit: activation_bits + 1 for an element (the last one rounds) in each
    lane, activation_scale_bits for the scale once in a vector. As a block enters in each cycle, each of them
    has a subtractor of its own.
    """
    lanes, event, activation = hardware.output_lanes, "quantize_lane_ops", hardware.formats.activation
    if activation.scale_bits is None:
        yield Component("rounding and clip", Adder(_PPU_BITS), 2 * lanes, {event: 2})
        return
    size, element_steps, scale_steps = activation.vector_size, activation.bits + 1, activation.scale_bits
    yield Component("vector maximum", Adder(_PPU_BITS), lanes, {event: 1})
    yield Component(
        "divider",
        Adder(activation.bits + activation.scale_bits + hardware.guard_bits + 1),
        lanes * element_steps + max(1, lanes // size) * scale_steps,
        {event: element_steps + scale_steps / size},
    )


def _memories(hardware: HardwareConfig) -> Iterator[Component]:
    timing, dram = hardware.timing, hardware.dram
    # Fetched into a command queue and read out of it; its bytes of DRAM count as dram_read_bytes.
    queue = Sram(timing.command_queue_depth * INSTRUCTION_BITS / 8192, INSTRUCTION_BITS, 1)
    yield Component("command queue", queue, len(ENGINES), {"instructions": 2 * INSTRUCTION_BITS})
    buffer_kib = timing.fetch_buffer_bursts * dram.burst_bytes / 1024
    yield Component("fetch buffer", Sram(buffer_kib, INSTRUCTION_BITS, 1), 1)
    for memory in MEMORIES:
        unit = Sram(memory.kib(hardware), memory.entry_bits(hardware), memory.banks(hardware))
        yield Component(f"{memory.title} scratchpad", unit, 1, {memory.read_event: 1, memory.write_event: 1})
    yield Component("DRAM channel", DramChannel(), 1, {"dram_read_bytes": 1, "dram_write_bytes": 1})
