"""The array: `output_lanes` times the block vector_mac of `rtl/`."""

from __future__ import annotations

from collections.abc import Iterator

from tvm_vsq.hardware.components.component import Component
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.pipeline import pipelines
from tvm_vsq.hardware.units import Adder, AdderTree, Multiplier, Register, Selector, Shifter

_BLOCK = "vector_mac"
_DIGIT_SHIFT_BITS = 5


def array(hardware: HardwareConfig) -> Iterator[Component]:
    """Multipliers, trees and accumulators, with scale units between them where the formats have scales."""
    size, lanes = hardware.vector_size, hardware.output_lanes
    weight, activation = hardware.multiplied_weight_bits, hardware.activation_bits
    uses = {"macs": 1.0, "window_macs": float(hardware.input_slices)}
    sums = {event: count / size for event, count in uses.items()}
    tree = AdderTree(size, weight + activation)
    yield Component("multiplier", Multiplier(weight, activation), size * lanes, uses, "MACs", _BLOCK)
    yield Component("adder tree", tree, lanes, sums, "MACs", _BLOCK)
    # Operands, and whether they are signed: activations, and weights where these have one more bit.
    signs = 1 + weight - hardware.weight_bits
    operands = size * (hardware.weight_bits + activation) + signs
    yield Component("operand registers", Register(operands), lanes, sums, "MACs", _BLOCK)
    yield Component("product registers", Register(size * (weight + activation)), lanes, sums, "MACs", _BLOCK)
    kept = [count * (adder.bits + 1) for count, adder in tree.levels]
    sums_held = sum(kept[level] for level in pipelines(hardware).tree_levels)
    yield Component("tree registers", Register(sums_held), lanes, sums, "MACs", _BLOCK)
    yield from _scale_units(hardware, tree.sum_bits)
    bits = hardware.accumulator_bits
    # A digit of operands is worth more than the ones below it. A sum is narrower than an accumulator, and as
    # wide as a level of the shifter makes it; energy counts the whole width.
    unit = Shifter(bits, _DIGIT_SHIFT_BITS)
    yield Component("shifter of sums", unit, 0, {"shift_lane_ops": 1}, "accumulators", _BLOCK)
    addend = tree.sum_bits + hardware.product_bits
    shifted = sum(min(bits, addend + (2 << level)) for level in range(_DIGIT_SHIFT_BITS))
    yield Component("shifter of sums, by levels", Shifter(shifted, 1), lanes, {}, "accumulators", _BLOCK)
    yield Component("accumulating adder", Adder(bits), lanes, sums, "accumulators", _BLOCK)
    yield Component("accumulator's choice", Selector(2 * bits), lanes, {}, "accumulators", _BLOCK)
    yield Component("accumulator's register", Register(bits), lanes, sums, "accumulators", _BLOCK)


def _scale_units(hardware: HardwareConfig, dot_bits: int) -> Iterator[Component]:
    """s_w * s_a, rounded to P bits, and the dot product times it. Adding that up is the array's."""
    formats, lanes, group = hardware.formats, hardware.output_lanes, "scale units"
    weight, activation = formats.weight.scale_bits, formats.activation.scale_bits
    if weight is not None and activation is not None:
        unit = Multiplier(weight, activation)
        yield Component("scale multiplier", unit, lanes, {"scale_products": 1}, group, _BLOCK)
    if formats.product_shift:
        # Its carry runs through the bits that stay; energy counts the whole width.
        unit_rounding = Adder(formats.full_product_bits)
        yield Component("scale rounding", unit_rounding, lanes, {"scale_macs": 1}, group, _BLOCK)
    if kept := formats.product_bits:
        unit = Multiplier(dot_bits, kept)
        yield Component("scaling multiplier", unit, lanes, {"scale_macs": 1}, group, _BLOCK)
        full, cycles = formats.full_product_bits, len(pipelines(hardware).tree_levels)
        yield Component("scale operand registers", Register(full), lanes, {"scale_macs": 1}, group, _BLOCK)
        held = full + cycles * kept + dot_bits + kept
        if hardware.precision_passes > 1:  # or 1 in place of that product, which waits as long as it does
            yield Component("choice of a factor", Selector(kept), lanes, {}, group, _BLOCK)
            held += cycles + 2
        yield Component("scale registers", Register(held), lanes, {"scale_macs": 1}, group, _BLOCK)
