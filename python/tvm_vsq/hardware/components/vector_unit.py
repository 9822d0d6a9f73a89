"""The vector unit: `output_lanes` times the block vector_lane of `rtl/`."""

from __future__ import annotations

from collections.abc import Iterator

from tvm_vsq.formats.table import TABLE_INPUT_BITS, TABLE_SEGMENTS, TABLE_VALUE_BITS
from tvm_vsq.hardware.components.component import Component
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.memories import PARAMETER_BITS
from tvm_vsq.hardware.units import Adder, Multiplier, Register, Selector, Shifter, Sram, Unit

_COEFFICIENT_BITS = 32  # width of VEC's immediate
_FACTOR_BITS = PARAMETER_BITS["mult"]  # of the mantissa of what VEC scales by
_BLOCK, _GROUP = "vector_lane", "vector unit"
_CONTROL_BITS = 13  # operation, shift, where the operand is from, its sign


def vector_unit(hardware: HardwareConfig) -> Iterator[Component]:
    """element * scale of what is unpacked, that times a coefficient, and an adder, which compares by
    subtracting; moving alone uses it as well. An accumulator times what is unpacked, or times a factor of
    REDUCE's, rounded. Tables.

    One multiplier serves products, coefficients, factors and slopes. A coefficient has as many bits as a
    product that fits an accumulator leaves it.
    """
    lanes, activation = hardware.output_lanes, hardware.formats.activation
    acc, element = hardware.accumulator_bits, hardware.widest_activation_bits
    bits = element + activation.scale_width
    if activation.scale_bits is not None:
        unit = Multiplier(element, activation.scale_bits)
        yield _of("scale multiplier", unit, lanes, {"unpack_lane_ops": 1})
    long = max(acc, _COEFFICIENT_BITS)
    yield _of("comparator", Adder(long), lanes)
    yield _of("adder", Adder(long), lanes)
    yield _of("comparator or adder", Adder(acc), 0, {"vector_lane_ops": 1})
    factor = Multiplier(bits, min(_COEFFICIENT_BITS, max(1, acc - bits)))
    yield _of("coefficient", factor, 0, {"coefficient_lane_ops": 1})
    inside = TABLE_INPUT_BITS - (TABLE_SEGMENTS - 1).bit_length()
    left, right = max(acc, TABLE_VALUE_BITS), max(bits, inside, _FACTOR_BITS)
    yield _of("multiplier", Multiplier(left, right), lanes)
    yield _of("products", Multiplier(acc, bits), 0, {"product_lane_ops": 1})
    yield _of("rounding and shift", Adder(acc + bits), 0, {"product_lane_ops": 2})
    yield _of("factors", Multiplier(acc, _FACTOR_BITS), 0, {"factor_lane_ops": 1})
    yield _of("rounding and shift of factors", Adder(acc + _FACTOR_BITS), 0, {"factor_lane_ops": 2})
    # An argument of a table: what is left of an accumulator, shifted and rounded.
    yield _of("differences", Adder(long), lanes)
    yield _of("shifter of arguments", Shifter(long + 2, 6), lanes)
    yield _of("rounding of arguments", Adder(TABLE_INPUT_BITS), lanes)
    yield _of("shifter", Shifter(left + right + 1, 6), lanes)
    # Of operands, their digits or signs; of what multiplier, adder and accumulator take; of what saturates.
    digits = element - activation.bits
    yield _of("choices", Selector(5 * acc + 2 * long + left + right + TABLE_INPUT_BITS + digits), lanes)
    words = 4 * acc + 4 * long + left + right  # through the stages; product, result
    held = words + 4 * _CONTROL_BITS + 4 * bits + TABLE_INPUT_BITS + inside + TABLE_VALUE_BITS
    yield _of("registers", Register(held), lanes, {"vector_lane_ops": 1})
    # Every lane has its own copy of a table, as each of them wants another segment.
    segment = 2 * TABLE_VALUE_BITS
    copy = Sram(TABLE_SEGMENTS * segment / 8192, segment, 1)
    yield _of("tables", copy, lanes, {"table_lane_ops": segment, "table_fill_bits": 1}, block="")
    yield _of("slopes", Multiplier(TABLE_VALUE_BITS, inside), 0, {"table_lane_ops": 1})
    yield _of("clip and rounding of segments", Adder(TABLE_VALUE_BITS), 0, {"table_lane_ops": 3})


def _of(
    name: str,
    unit: Unit,
    count: int,
    uses: dict[str, float] | None = None,
    block: str = _BLOCK,
) -> Component:
    return Component(f"vector unit's {name}", unit, count, uses or {}, _GROUP, block)
