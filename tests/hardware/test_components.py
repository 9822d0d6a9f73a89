"""What an accelerator is made of follows from its description; what events use of it is in test_energy.py."""

from __future__ import annotations

import pytest

from tvm_vsq.hardware import EVENTS, Component, components, list_targets, load_hardware
from tvm_vsq.hardware.components import GROUPS
from tvm_vsq.hardware.units import Adder, AdderTree, GatedRegister, Multiplier, Register, Sram, Trial

ACCEL = load_hardware("vsq-accel")


def parts(*, vector_size: int | None = None, formats: str = "4/4/4/4", **fields) -> dict[str, Component]:
    hardware = ACCEL.with_formats(formats, vector_size=vector_size).model_copy(update=fields)
    return {component.name: component for component in components(hardware)}


@pytest.mark.parametrize("target", list_targets())
def test_events_use_components_and_components_name_events(target: str) -> None:
    used = {event for component in components(load_hardware(target)) for event in component.uses}
    scaling = {"scale_products", "scale_macs", "unpack_lane_ops"}
    absent = scaling if load_hardware(target).notation.endswith("-/-") else set()
    assert used == set(EVENTS) - absent


def test_every_component_belongs_to_a_group_that_reports_know() -> None:
    assert {component.group for component in components(ACCEL)} == set(GROUPS)


@pytest.mark.parametrize("target", list_targets())
def test_names_of_components_are_different(target: str) -> None:
    names = [component.name for component in components(load_hardware(target))]
    assert len(names) == len(set(names))


def test_what_another_unit_does_besides_takes_no_area_but_energy() -> None:
    shared = [component for component in components(ACCEL) if component.count == 0]
    assert shared
    assert all(component.uses for component in shared)


def test_the_array_multiplies_a_vector_for_each_lane_in_a_cycle() -> None:
    array = parts(vector_size=32, formats="3/5/-/-", output_lanes=8)
    uses = {"macs": 1, "window_macs": 1}
    assert array["multiplier"] == Component(
        "multiplier", Multiplier(3, 5), 32 * 8, uses, "MACs", "vector_mac"
    )
    assert array["adder tree"].unit == AdderTree(32, 3 + 5)
    assert array["adder tree"].count == array["accumulating adder"].count == 8


def test_a_tree_halves_its_adders_and_widens_them_by_a_bit() -> None:
    tree = AdderTree(8, 6)
    assert tree.levels == ((4, Adder(6)), (2, Adder(7)), (1, Adder(8)))
    assert tree.sum_bits == 9


@pytest.mark.parametrize(
    ("formats", "kept", "names"),
    [
        ("4/4/-/-", None, []),
        ("4/4/6/-", None, ["scaling multiplier"]),
        ("4/4/6/4", None, ["scale multiplier", "scaling multiplier"]),
        ("4/4/6/4", 8, ["scale multiplier", "scale rounding", "scaling multiplier"]),
    ],
)
def test_scale_units_are_there_if_the_formats_have_scales(formats, kept, names) -> None:
    hardware = ACCEL.with_formats(formats, scale_product_bits=kept)
    parts = [part for part in components(hardware) if part.group == "scale units" and part.uses]
    units = [part.name for part in parts if not isinstance(part.unit, Register)]
    assert (len(units) < len(parts)) == bool(names)  # with registers around them
    assert units == names


def test_the_scaling_multiplier_takes_a_whole_dot_product() -> None:
    # 16 products of 4 x 4 bits, by the 8 bits of a scale product
    assert parts()["scaling multiplier"].unit == Multiplier(4 + 4 + 4, 8)


@pytest.mark.parametrize(("size", "lanes"), [(16, 16), (8, 32), (64, 16)])
def test_a_step_of_a_division_for_each_bit_of_the_elements_of_a_block(size: int, lanes: int) -> None:
    found = parts(vector_size=size, formats="4/6/4/5", output_lanes=lanes)
    assert found["quantizer's division"].unit == Trial(5 + 1)
    assert found["quantizer's division"].count == lanes * 6
    assert found["quantizer's division"].uses == {"quantize_lane_ops": 6}


@pytest.mark.parametrize(
    ("formats", "bits", "factor"),
    [("4/4/4/4", 24, (8, 16)), ("4/8/6/10", 46, (18, 28)), ("8/8/-/-", 46, (8, 32))],
)
def test_a_coefficient_has_the_bits_that_an_accumulator_leaves_it(formats, bits, factor) -> None:
    found = parts(formats=formats, accumulator_bits=bits)["vector unit's coefficient"]
    assert found.unit == Multiplier(*factor)
    assert found.uses == {"coefficient_lane_ops": 1}


def test_a_product_is_as_wide_as_both_its_factors() -> None:
    found = parts(formats="4/8/6/10", accumulator_bits=46)
    assert found["vector unit's multiplier"].unit == Multiplier(46, 18)
    assert found["vector unit's products"].unit == Multiplier(46, 18)
    assert found["vector unit's rounding and shift"].unit == Adder(64)
    assert found["vector unit's rounding and shift"].uses == {"product_lane_ops": 2}


@pytest.mark.parametrize(
    ("formats", "bits"), [("4/4/4/4", 16), ("8/8/-/-", 16), ("4/8/4/7", 16), ("4/8/6/10", 18)]
)
def test_the_multiplier_of_products_has_the_16_bits_of_factors_at_least(formats, bits) -> None:
    found = parts(formats=formats)
    multiplier, factors = (found[f"vector unit's {name}"].unit for name in ("multiplier", "factors"))
    assert (multiplier.b_bits, factors.b_bits) == (bits, 16)
    assert multiplier.a_bits == factors.a_bits
    assert found["vector unit's factors"].uses == {"factor_lane_ops": 1}


@pytest.mark.parametrize(("lanes", "cycles", "kept"), [(16, 16, 4), (16, 13, 2), (16, 11, 0), (32, 40, 5)])
def test_registers_of_the_tree_of_rows_are_those_of_its_pipeline(lanes: int, cycles: int, kept: int) -> None:
    timing = ACCEL.timing.model_copy(update={"row_pipeline_cycles": cycles})
    found = parts(output_lanes=lanes, timing=timing.model_dump())["vector unit's reduction registers"]
    levels = {16: [8 * 37, 4 * 38, 2 * 39, 40], 32: [16 * 37, 8 * 38, 4 * 39, 2 * 40, 41]}[lanes]
    own = {4: levels, 2: levels[1::2], 0: [], 5: levels}[kept]
    assert found.unit == Register(lanes * (2 * 32 + 18 + 36) + sum(own))


def test_rows_have_a_tree_of_all_lanes_and_one_unit_for_their_results() -> None:
    found = parts(output_lanes=32, accumulator_bits=46)
    assert found["vector unit's reduction tree"].unit == AdderTree(32, 46)
    assert found["vector unit's reduction tree"].uses == {"reduce_lane_ops": 1 / 32}
    assert found["vector unit's squarers"].unit == Multiplier(18, 18)
    assert found["vector unit's squarers"].count == 32
    # 2^14 squares of 2^34 at most, and a sign
    assert found["vector unit's row's sum"].unit == Adder(50)
    assert found["vector unit's row's multiplier"].unit == Multiplier(50, 16)
    assert found["vector unit's row's multiplier"].count == 1


def test_a_transposer_holds_the_results_of_two_groups_of_pixels() -> None:
    found = parts(vector_size=64, output_lanes=8)
    assert found["PPU transposer"].unit == GatedRegister(2 * 64 * 8 * 32)
    assert found["PPU transposing"].unit == Sram(2 * 64 * 8 * 32 / 8192, 8 * 32, 1)
    assert found["PPU transposing"].uses == {"transpose_lane_ops": 64}


def test_memories_are_those_of_the_description() -> None:
    found = parts()
    pads, banks = ACCEL.scratchpads, ACCEL.scratchpads.banks
    assert found["weight scratchpad"].unit == Sram(pads.wgt_kib, ACCEL.entry_bits["wgt"], banks.wgt, 1, 1)
    # docs/simulator.md, section 1: read by GEMM, VEC, PPU and STORE and written by LOAD, GEMM, VEC
    # and PPU
    assert found["accumulator scratchpad"].unit == Sram(
        pads.acc_kib, ACCEL.entry_bits["acc"], banks.acc, 4, 4
    )
    assert found["command queue"].count == 5  # load, compute, vector, ppu, store
    assert found["command queue"].unit == Sram(ACCEL.timing.command_queue_depth * 256 / 8192, 256, 1)


def test_more_passes_make_multipliers_and_quantizer_wider_and_choices_of_digits() -> None:
    one, two = parts(), parts(precision_passes=2)
    changed = {name for name in one if one[name].unit != two[name].unit or one[name].count != two[name].count}
    assert two.keys() - one.keys() == {
        "choice of a factor",
        "residual's digits",
        "quantizer's scales of any form",
        "quantizer's choices of a form",
        "quantizer's limit",
    }
    assert not one.keys() - two.keys()
    # Unsigned weights have a bit more, sums with them; joined and quantized elements have 8 in place of 4.
    assert two["multiplier"].unit == Multiplier(5, 4)
    assert two["adder tree"].unit == AdderTree(16, 5 + 4)
    assert two["operand registers"].unit == Register(16 * (4 + 4) + 2)
    assert two["product registers"].unit == Register(16 * (5 + 4))
    assert two["scaling multiplier"].unit == Multiplier(4 + 5 + 4, 8)
    assert two["residual scale"].unit == two["vector unit's scale multiplier"].unit == Multiplier(8, 4)
    assert two["quantizer's division"].count == 2 * one["quantizer's division"].count == 16 * 8
    assert two["quantizer's comparators"].unit == Adder(8 + 4 + ACCEL.guard_bits)
    assert two["shifter of sums"].unit == one["shifter of sums"].unit
    assert {part.group for part in one.values() if part.name in changed} == {
        "MACs",
        "accumulators",
        "scale units",
        "PPU",
        "vector unit",
    }
    assert {part.block for part in two.values()} == {part.block for part in one.values()}  # all of rtl/


def test_a_scale_is_sought_for_every_number_of_bits_that_a_result_may_have() -> None:
    two = parts(precision_passes=2)
    assert two["quantizer's scales"].count == 0
    # By 3, 7, 15, ... 255: 4 bits of a scale in digits of 2, 3, 4, ... 8 bits.
    assert two["quantizer's scales of any form"].unit == Adder(2 * 4)
    assert two["quantizer's scales of any form"].count == 2 + 2 + 1 + 1 + 1 + 1 + 1


def test_elements_have_at_most_eight_bits_however_many_passes_there_are() -> None:
    wide = parts(formats="8/6/4/4", precision_passes=4)
    assert wide["multiplier"].unit == Multiplier(8, 6)  # no weight has two digits
    assert wide["vector unit's scale multiplier"].unit == Multiplier(8, 4)
