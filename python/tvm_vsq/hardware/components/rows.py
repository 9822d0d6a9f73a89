"""What rows of accumulators add to the vector unit: the blocks reduce_tree and row_unit of `rtl/`."""

from __future__ import annotations

from collections.abc import Iterator

from tvm_vsq.formats.rows import ROW_BITS, SQUARED_BITS
from tvm_vsq.formats.table import TABLE_INPUT_BITS, TABLE_SEGMENTS, TABLE_VALUE_BITS
from tvm_vsq.hardware.components.component import Component
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.memories import PARAMETER_BITS
from tvm_vsq.hardware.pipeline import pipelines
from tvm_vsq.hardware.units import Adder, AdderTree, Multiplier, Register, Selector, Shifter, Unit

_SHIFT_BITS, _WORD_BITS = 6, 32
_FACTOR_BITS = PARAMETER_BITS["mult"]
_GROUP = "vector unit"


def rows(hardware: HardwareConfig) -> Iterator[Component]:
    """An entry of accumulators enters in each cycle, and a row's result leaves behind its last one.

    A node of the tree adds, or compares by subtracting. Squares have multipliers of their own.
    """
    yield from _tree(hardware)
    yield from _results(hardware)


def _tree(hardware: HardwareConfig) -> Iterator[Component]:
    lanes, acc = hardware.output_lanes, hardware.accumulator_bits
    squares, reduced = {"square_lane_ops": 1.0}, {"reduce_lane_ops": 1 / lanes}

    def of(name: str, unit: Unit, count: int, uses: dict[str, float] | None = None) -> Component:
        return _of(name, unit, count, "reduce_tree", uses)

    # What rounds is one bit; energy takes it, and the shift, as two additions.
    yield of("rounding of what is squared", Adder(acc), 0, {"square_lane_ops": 2})
    yield of("rounded bits of what is squared", Adder(SQUARED_BITS), lanes)
    yield of("shifter of what is squared", Shifter(acc + 1, _SHIFT_BITS), lanes)
    yield of("squarers", Multiplier(SQUARED_BITS, SQUARED_BITS), lanes, squares)
    width = max(acc, 2 * SQUARED_BITS)
    tree = AdderTree(lanes, width)
    yield of("reduction tree", tree, 1, reduced)
    # Numbers or squares, beside lanes that are not there; the larger of two, or their sum.
    inputs = lanes * (width + acc + 2 * SQUARED_BITS)
    nodes = sum(count * (adder.bits + 1 + acc) for count, adder in tree.levels)
    yield of("reduction tree's choice", Selector(inputs + nodes), 1)
    kept = [count * (adder.bits + 1) for count, adder in tree.levels]
    levels = sum(kept[level] for level in pipelines(hardware).row_levels)
    held = lanes * (2 * acc + SQUARED_BITS + width) + levels  # read, rounded, what enters; behind each level
    yield of("reduction registers", Register(held), 1, reduced)
    yield of("row's sum", Adder(ROW_BITS), 1, reduced)
    yield of("row's choice", Selector(3 * ROW_BITS), 1)
    yield of("row's register", Register(ROW_BITS), 1, reduced)


def _results(hardware: HardwareConfig) -> Iterator[Component]:
    """A row's immediate, the mantissa of what that gives, a segment, and a product that is rounded."""
    inside = TABLE_INPUT_BITS - (TABLE_SEGMENTS - 1).bit_length()
    product, segment = ROW_BITS + _FACTOR_BITS, 2 * TABLE_VALUE_BITS

    def of(name: str, unit: Unit, count: int, uses: dict[str, float] | None = None) -> Component:
        return _of(name, unit, count, "row_unit", uses)

    yield of("row's immediate", Adder(ROW_BITS), 1, {"row_ops": 1})
    yield of("row's normalization", Shifter(ROW_BITS, _SHIFT_BITS), 1, {"row_ops": 1})
    # At least 1; zeros are counted by halves, of which the one that has the first digit goes on.
    yield of("row's count of zeros", Selector((_SHIFT_BITS + 1) * ROW_BITS), 1)
    yield of("row's shift", Adder(3 * _SHIFT_BITS), 1)
    yield of("row's choice of a segment", Selector((hardware.output_lanes - 1) * segment), 1)
    yield of("row's slope", Multiplier(TABLE_VALUE_BITS, inside), 1, {"row_ops": 1})
    yield of("row's segment", Adder(TABLE_VALUE_BITS), 2, {"row_ops": 2})
    yield of("row's multiplier", Multiplier(ROW_BITS, _FACTOR_BITS), 1, {"row_ops": 1})
    yield of("row's halves of a product", Adder(product), 1)
    yield of("row's rounding and shift", Adder(product), 0, {"row_ops": 2})
    yield of("row's rounding", Adder(_WORD_BITS), 1)
    yield of("row's shifter", Shifter(product + 1, _SHIFT_BITS), 1)
    yield of("row's saturation", Selector(4 * _WORD_BITS + 2 * _FACTOR_BITS), 1)
    # The immediate's sum, a mantissa in two steps, and what a segment is multiplied by, with its value; the
    # product and its halves; other results, which wait; exponents and what is asked for.
    factor = 2 * ROW_BITS + TABLE_INPUT_BITS + 2 * inside + 2 * TABLE_VALUE_BITS + _SHIFT_BITS
    held = factor + 2 * product + ROW_BITS // 2 + 5 * _WORD_BITS + 6 * (_SHIFT_BITS + 3)
    yield of("row's results", Register(held), 1, {"row_ops": 1})


def _of(name: str, unit: Unit, count: int, block: str, uses: dict[str, float] | None) -> Component:
    return Component(f"vector unit's {name}", unit, count, uses or {}, _GROUP, block)
