"""What rows of accumulators add to the vector unit: a tree, and a unit for its results; not in `rtl/`."""

from __future__ import annotations

from collections.abc import Iterator

from tvm_vsq.formats.table import TABLE_INPUT_BITS, TABLE_SEGMENTS, TABLE_VALUE_BITS
from tvm_vsq.hardware.components.component import Component
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.memories import PARAMETER_BITS
from tvm_vsq.hardware.units import Adder, AdderTree, Multiplier, Register, Selector, Shifter

_SQUARED_BITS = 18  # of a lane that is squared
_ROW_BITS = 49  # a sum of 2^14 squares, the largest of which is 2^34
_SHIFT_BITS, _IMMEDIATE_BITS = 6, 32
_FACTOR_BITS = PARAMETER_BITS["mult"]
_GROUP = "vector unit"


def rows(hardware: HardwareConfig) -> Iterator[Component]:
    """An entry of accumulators enters in each cycle, and a row's result leaves behind its last one.

    A node of the tree adds, or compares by subtracting. Squares have multipliers of their own; lanes that are
    scaled have what their multiplier lacks.
    """
    yield from _scaling(hardware)
    lanes, acc = hardware.output_lanes, hardware.accumulator_bits
    squares = {"square_lane_ops": 1.0}
    yield _of("rounding of what is squared", Adder(acc), lanes, {"square_lane_ops": 2})
    yield _of("shifter of what is squared", Shifter(acc + 1, _SHIFT_BITS), lanes)
    yield _of("squarers", Multiplier(_SQUARED_BITS, _SQUARED_BITS), lanes, squares)
    width = max(acc, 2 * _SQUARED_BITS)
    tree = AdderTree(lanes, width)
    yield _of("reduction tree", tree, 1, {"reduce_lane_ops": 1 / lanes})
    yield _of("reduction tree's choice", Selector((lanes - 1) * acc), 1)
    levels = sum(count * (adder.bits + 1) for count, adder in tree.levels)
    held = lanes * (acc + width) + levels  # what is read, what enters, and behind each level
    yield _of("reduction registers", Register(held), 1, {"reduce_lane_ops": 1 / lanes})
    yield _of("row's sum", Adder(_ROW_BITS), 1, {"reduce_lane_ops": 1 / lanes})
    yield _of("row's register", Register(_ROW_BITS), 1, {"reduce_lane_ops": 1 / lanes})
    yield from _results()


def _scaling(hardware: HardwareConfig) -> Iterator[Component]:
    """An accumulator times a factor of 16 bits, by the multiplier of products if that is wide enough."""
    lanes, acc, activation = hardware.output_lanes, hardware.accumulator_bits, hardware.formats.activation
    inside = TABLE_INPUT_BITS - (TABLE_SEGMENTS - 1).bit_length()
    width = max(hardware.widest_activation_bits + activation.scale_width, inside)
    if (lacks := _FACTOR_BITS - width) > 0:
        yield _of("wider multiplier", Multiplier(max(acc, TABLE_VALUE_BITS), lacks), lanes)
        yield _of("wider shifter", Shifter(lacks, _SHIFT_BITS), lanes)
    yield _of("factors", Multiplier(acc, _FACTOR_BITS), 0, {"factor_lane_ops": 1})
    yield _of("rounding and shift of factors", Adder(acc + _FACTOR_BITS), 0, {"factor_lane_ops": 2})
    yield _of("saturation", Selector(2 * acc), lanes)


def _results() -> Iterator[Component]:
    """A row's immediate, the mantissa of what that gives, a segment, and a product that is rounded."""
    inside = TABLE_INPUT_BITS - (TABLE_SEGMENTS - 1).bit_length()
    product = _ROW_BITS + _FACTOR_BITS
    yield _of("row's immediate", Adder(_ROW_BITS), 1, {"row_ops": 1})
    yield _of("row's normalization", Shifter(_ROW_BITS, _SHIFT_BITS), 1, {"row_ops": 1})
    yield _of("row's slope", Multiplier(TABLE_VALUE_BITS, inside), 1, {"row_ops": 1})
    yield _of("row's segment", Adder(TABLE_VALUE_BITS), 2, {"row_ops": 2})
    yield _of("row's multiplier", Multiplier(_ROW_BITS, _FACTOR_BITS), 1, {"row_ops": 1})
    yield _of("row's rounding and shift", Adder(product), 0, {"row_ops": 2})
    yield _of("row's rounding", Adder(product), 1)
    yield _of("row's shifter", Shifter(product, _SHIFT_BITS), 1)
    # Behind the immediate, two steps of the mantissa, segment, slope, and two of the product.
    held = (
        3 * _ROW_BITS + 3 * TABLE_VALUE_BITS + 2 * product + _IMMEDIATE_BITS + _FACTOR_BITS + 3 * _SHIFT_BITS
    )
    yield _of("row's results", Register(held), 1, {"row_ops": 1})


def _of(
    name: str,
    unit: Adder | AdderTree | Multiplier | Register | Selector | Shifter,
    count: int,
    uses: dict[str, float] | None = None,
) -> Component:
    return Component(f"vector unit's {name}", unit, count, uses or {}, _GROUP)
