"""What an event costs: the formulas of docs/energy.md, written out by hand for chosen accelerators."""

from __future__ import annotations

import math
import runpy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware import (
    EVENTS,
    STANDING,
    HardwareConfig,
    event_energy_pj,
    layer_energy,
    list_targets,
    load_hardware,
    load_technology,
)

TECHNOLOGY = load_technology("horowitz-45nm")
INT8 = load_hardware("vsq-accel-int8")


def with_bits(**bits: Any) -> HardwareConfig:
    return HardwareConfig.model_validate(INT8.model_dump() | bits)


def costs(**bits: Any) -> dict[str, float]:
    return dict(event_energy_pj(with_bits(**bits), TECHNOLOGY))


def test_every_event_of_every_target_costs_a_finite_amount() -> None:
    for name in list_targets():
        hardware = load_hardware(name)
        energies = event_energy_pj(hardware, load_technology(hardware.technology))
        assert tuple(energies) == EVENTS
        assert all(0 <= pj < 1e4 for pj in energies.values())


def test_an_8_bit_mac_is_a_multiplier_and_its_share_of_the_adders() -> None:
    add = TECHNOLOGY.integer_add.pj
    adders = 8 * add(16) + 4 * add(17) + 2 * add(18) + add(19) + add(32)
    assert costs()["macs"] == pytest.approx(0.2 + adders / 16)


def test_a_dram_byte_costs_an_eighth_of_the_sources_64_bit_access() -> None:
    assert costs()["dram_read_bytes"] == costs()["dram_write_bytes"] == pytest.approx(1300 / 8)


def test_a_scratchpad_of_64_bit_entries_costs_the_sources_access() -> None:
    narrow = costs(
        vector_size=8, output_lanes=8, scratchpads={**INT8.scratchpads.model_dump(), "inp_kib": 32}
    )
    assert 64 * narrow["inp_read_bits"] == pytest.approx(20)
    assert narrow["inp_read_bits"] == narrow["inp_write_bits"]


def test_a_wide_entry_is_spread_over_macros_side_by_side() -> None:
    # 64 KiB of 16 x 32-bit accumulators: eight macros of 8 KiB, 10 pJ each.
    assert INT8.entry_bits["acc"] * costs()["acc_read_bits"] == pytest.approx(8 * 10)


@given(st.integers(2, 7), st.integers(2, 8))
def test_one_more_weight_bit_makes_a_mac_dearer(weight_bits: int, activation_bits: int) -> None:
    narrow = costs(weight_bits=weight_bits, activation_bits=activation_bits)
    wide = costs(weight_bits=weight_bits + 1, activation_bits=activation_bits)
    assert narrow["macs"] < wide["macs"]


def test_a_4_bit_mac_costs_less_than_half_of_an_8_bit_one() -> None:
    assert costs(weight_bits=4, activation_bits=4)["macs"] < costs()["macs"] / 2


def test_rows_cost_a_tree_and_a_result_what_follows_it() -> None:
    add, mul = TECHNOLOGY.integer_add.pj, lambda a, b: TECHNOLOGY.integer_multiply.pj(math.sqrt(a * b))
    tree = 8 * add(36) + 4 * add(37) + 2 * add(38) + add(39)
    assert costs()["reduce_lane_ops"] == pytest.approx((tree + add(50)) / 16)
    assert costs()["square_lane_ops"] == pytest.approx(mul(18, 18) + 2 * add(32))
    assert costs()["factor_lane_ops"] == pytest.approx(mul(32, 16) + 2 * add(48))
    segment = mul(24, 9) + 2 * add(24)
    assert costs()["row_ops"] == pytest.approx(2 * add(50) + segment + mul(50, 16) + 2 * add(66))


def test_absent_scale_units_cost_nothing() -> None:
    assert costs()["scale_products"] == costs()["scale_macs"] == 0


def test_one_sided_scales_need_no_scale_product_but_scale_the_sum() -> None:
    one_sided = costs(weight_scale_bits=4)
    assert one_sided["scale_products"] == 0
    assert one_sided["scale_macs"] > 0


@given(st.integers(1, 10), st.integers(1, 10))
def test_keeping_fewer_bits_of_the_scale_product_makes_its_multiplier_cheaper(
    weight: int, activation: int
) -> None:
    full = costs(weight_scale_bits=weight, activation_scale_bits=activation)
    kept = costs(weight_scale_bits=weight, activation_scale_bits=activation, scale_product_bits=1)
    assert 0 < kept["scale_macs"] < full["scale_macs"]


def test_choosing_a_scale_for_each_vector_costs_more_than_a_fixed_one() -> None:
    assert costs(activation_scale_bits=4)["quantize_lane_ops"] > costs()["quantize_lane_ops"]


@given(st.dictionaries(st.sampled_from(EVENTS), st.integers(0, 2**40)))
def test_layer_energy_is_counts_times_costs(events: dict[str, int]) -> None:
    energy = layer_energy(events, INT8, TECHNOLOGY, cycles=1000)
    assert tuple(energy) == (*EVENTS, *STANDING)
    counted = {event: events.get(event, 0) * pj for event, pj in costs().items()}
    # Its source has nothing that goes by time.
    assert energy == {**counted, **dict.fromkeys(STANDING, 0.0)}


def test_an_event_that_nobody_counts_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown event multiplications; the simulator counts instructions, macs"
    ):
        layer_energy({"multiplications": 3}, INT8, TECHNOLOGY)


def test_the_table_in_the_document_is_what_the_benchmark_prints() -> None:
    root = Path(__file__).parents[2]
    table = runpy.run_path(str(root / "benchmarks/energy_per_event.py"))["table"]
    assert table() in (root / "docs/energy.md").read_text(encoding="utf-8")
