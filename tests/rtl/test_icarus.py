"""The RTL computes what NumPy does, for shipped targets and any others; in Icarus, which knows unknowns."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from tests.accelerators import accelerator
from tests.rtl.configurations import random_accelerator, with_passes
from tests.seeds import first_of, one_of

from tvm_vsq.hardware import HardwareConfig, list_targets, load_hardware
from tvm_vsq.hardware.pipeline import pipelines
from tvm_vsq.numerics import multiply_scales
from tvm_vsq.rtl import blocks, check

pytestmark = pytest.mark.usefixtures("icarus")

NAMES = first_of(sorted(list_targets(), key=lambda name: name == "vsq-accel-int8"), 2)
WITH_DIGITS = ("scale_unit", "vector_mac", "vector_lane", "ppu_lane", "quantizer", "ppu", "unpack_second")


def agrees(hardware: HardwareConfig, count: int, seed: int = 0, only: Collection[str] = ()) -> None:
    chosen = [block for name, block in blocks(hardware).items() if not only or name in only]
    found = [check(hardware, block, count, seed, "icarus") for block in chosen]
    wrong = [one.summary(hardware.label) for one in found if one.wrong]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_each_block_of_a_shipped_target_computes_what_numpy_does(name: str) -> None:
    agrees(load_hardware(name), 60)


@pytest.mark.parametrize("passes", first_of([2, 3, 4], 1))
@pytest.mark.parametrize("name", NAMES)
def test_each_block_of_a_target_with_digits_computes_what_numpy_does(name: str, passes: int) -> None:
    agrees(with_passes(load_hardware(name), passes), 100, only=WITH_DIGITS)


# Four digits of 2 bits; second operands of narrower digits than weights, or than activations; digits of 3
# bits, of which the third is not whole; no scales on a side, or at all.
DIGITS = (("2/2/4/4", 4), ("5/4/6/-", 2), ("3/3/4/4", 4), ("2/5/3/6", 4), ("4/7/-/5", 2), ("3/6/-/-", 3))


@pytest.mark.parametrize(("formats", "passes"), first_of(DIGITS, 2))
@pytest.mark.parametrize("size", one_of([8, 32]))
def test_digits_of_any_width_are_joined_and_split(formats: str, passes: int, size: int) -> None:
    hardware = load_hardware("vsq-accel").with_formats(formats, vector_size=size)
    agrees(with_passes(hardware, passes), 300, only=WITH_DIGITS)


@pytest.mark.parametrize("seed", first_of([1, 3, 0, 2, *range(4, 16)], 2))
def test_each_block_of_any_accelerator_computes_what_numpy_does(seed: int) -> None:
    agrees(random_accelerator(seed), 50, seed)


# Elements of 2 bits, the largest of which is 1; no scale on one side; another width on both.
SECOND = (("2/8", 9, 9), ("8/2", 9, 3), ("3/8", None, 6), ("3/8", 6, None), ("5/7", 8, 3), ("7/5", 3, 8))


@pytest.mark.parametrize(("bits", "weight", "activation"), first_of(SECOND, 3))
def test_second_operands_are_what_both_sides_of_the_array_take(
    bits: str, weight: int | None, activation: int | None
) -> None:
    scales = ["-" if width is None else str(width) for width in (weight, activation)]
    hardware = load_hardware("vsq-accel").with_formats("/".join([bits, *scales]), vector_size=16)
    agrees(hardware, 100, only=("quantizer", "unpack_second"))


@pytest.mark.parametrize(("lanes", "size"), [(4, 16), (8, 8), (16, 32), (32, 8)])
def test_pixels_are_turned_whatever_an_array_and_a_vector_have(lanes: int, size: int) -> None:
    timing = {"ppu_pipeline_cycles": 20}
    hardware = accelerator({"output_lanes": lanes, "vector_size": size, "timing": timing})
    agrees(hardware, 100, only=("transposer",))


@pytest.mark.parametrize("cycles", first_of([3, 1, 2, 4], 1))
def test_quotients_take_the_cycles_that_there_are_whatever_their_bits(cycles: int) -> None:
    hardware = accelerator({"timing": {"ppu_pipeline_cycles": 8 + cycles - (cycles == 1)}})
    assert (pipelines(hardware).divide_cycles, hardware.widest_activation_bits) == (cycles, 4)
    agrees(hardware, 50, only=("quantizer",))


@pytest.mark.parametrize("bits", first_of(range(1, 8), 3))
def test_products_of_scales_saturate_where_rounding_needs_another_bit(bits: int) -> None:
    hardware = accelerator({"scale_product_bits": bits})
    largest = multiply_scales(15, 15, hardware.product_shift, 0)
    assert (largest >= 1 << bits) == (bits < 3)
    agrees(hardware, 20, only=("scale_unit", "vector_mac"))
