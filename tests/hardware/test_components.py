"""What an accelerator is made of follows from its description; what events use of it is in test_energy.py."""

from __future__ import annotations

import pytest

from tvm_vsq.hardware import EVENTS, Component, components, list_targets, load_hardware
from tvm_vsq.hardware.units import Adder, AdderTree, Multiplier, Sram

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


def test_no_event_counts_the_residual_and_the_fetch_buffer() -> None:
    # docs/energy.md, what is left out
    uncounted = [component.name for component in components(ACCEL) if not component.uses]
    assert uncounted == [
        "residual scale",
        "residual multiplier",
        "residual rounding and shift",
        "residual adder",
        "fetch buffer",
    ]


def test_the_array_multiplies_a_vector_for_each_lane_in_a_cycle() -> None:
    array = parts(vector_size=32, formats="3/5/-/-", output_lanes=8)
    assert array["multiplier"] == Component(
        "multiplier", Multiplier(3, 5), 32 * 8, {"macs": 1, "window_macs": 1}
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
    assert [part.name for part in components(hardware) if part.name.startswith("scal")] == names


def test_the_scaling_multiplier_takes_a_whole_dot_product() -> None:
    # 16 products of 4 x 4 bits, by the 8 bits of a scale product
    assert parts()["scaling multiplier"].unit == Multiplier(4 + 4 + 4, 8)


@pytest.mark.parametrize(("size", "lanes", "scales"), [(16, 16, 1), (8, 32, 4), (64, 16, 1)])
def test_a_subtractor_for_each_bit_of_the_quotients_of_a_block(size, lanes, scales) -> None:
    divider = parts(vector_size=size, formats="4/6/4/5", output_lanes=lanes)["divider"]
    assert divider.unit == Adder(6 + 5 + ACCEL.guard_bits + 1)
    assert divider.count == lanes * 7 + scales * 5


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
    assert found["vector unit's rounding and shift"].unit == Adder(64)
    assert found["vector unit's rounding and shift"].uses == {"product_lane_ops": 2}


def test_memories_are_those_of_the_description() -> None:
    found = parts()
    pads, banks = ACCEL.scratchpads, ACCEL.scratchpads.banks
    assert found["weight scratchpad"].unit == Sram(pads.wgt_kib, ACCEL.entry_bits["wgt"], banks.wgt)
    assert found["command queue"].count == 5  # load, compute, vector, ppu, store
    assert found["command queue"].unit == Sram(ACCEL.timing.command_queue_depth * 256 / 8192, 256, 1)
