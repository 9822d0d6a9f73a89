"""What goes because time passes, and where all of an inference's energy goes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware import (
    EVENTS,
    PARTS_OF_ENERGY,
    STANDING,
    components,
    energy_by_part,
    layer_energy,
    list_drams,
    list_targets,
    list_technologies,
    load_dram,
    load_hardware,
    load_technology,
)
from tvm_vsq.hardware.components import GROUPS
from tvm_vsq.hardware.gates import load_gates
from tvm_vsq.hardware.units import Register, Sram

ACCEL = load_hardware("vsq-accel")
OPEN = load_technology("open-45nm")


def standing(cycles: int, **busy: int) -> dict[str, float]:
    energy = layer_energy({}, ACCEL, OPEN, cycles, busy)
    return {name: energy[name] for name in STANDING}


@given(
    st.dictionaries(st.sampled_from(EVENTS), st.integers(0, 2**40)),
    st.sampled_from(list_technologies()),
    st.sampled_from(list_targets()),
    st.integers(0, 2**40),
)
def test_parts_add_up_to_all_of_the_energy(
    events: dict[str, int], technology: str, target: str, cycles: int
) -> None:
    arguments = (events, load_hardware(target), load_technology(technology), cycles, {"compute": cycles // 2})
    parts = energy_by_part(*arguments)
    assert tuple(parts) == PARTS_OF_ENERGY
    assert math.fsum(parts.values()) == pytest.approx(math.fsum(layer_energy(*arguments).values()), rel=1e-12)


def test_leakage_is_that_of_all_cells_and_macros_for_the_time() -> None:
    logic, macros = OPEN.logic, OPEN.sram_macros
    assert logic is not None
    assert macros is not None
    cells_um2 = sum(
        c.count * load_gates("osu018").of(c.unit) * logic.gate_um2
        for c in components(ACCEL)
        if not isinstance(c.unit, Sram)
    )
    memories = 0.0
    for component in components(ACCEL):
        if isinstance(component.unit, Sram):
            unit, side_by_side = component.unit, max(1.0, component.unit.entry_bits / 64)
            each = macros.leakage_mw(unit.kib / unit.banks / side_by_side, unit.reads, unit.writes)
            memories += component.count * unit.banks * side_by_side * each
    milliwatts = cells_um2 / 1e6 * logic.leakage_mw_per_mm2 + memories
    # A cycle is 2 ns.
    assert standing(1000)["leakage"] == pytest.approx(milliwatts * 2000)


def test_only_what_works_is_clocked() -> None:
    flip_flops = dict.fromkeys(GROUPS, 0.0)
    for component in components(ACCEL):
        if isinstance(component.unit, Register):
            flip_flops[component.group] += component.count * component.unit.bits
    array = flip_flops["MACs"] + flip_flops["scale units"] + flip_flops["accumulators"]
    idle = standing(1000)["clock"]
    assert idle > 0  # fetch, queues and sequencers
    assert standing(1000, ppu=10)["clock"] - idle == pytest.approx(10 * flip_flops["PPU"] * 0.0083)
    # Not those of windows, whose accesses pay for what changes there.
    assert standing(1000, compute=5)["clock"] - idle == pytest.approx(5 * array * 0.0083)
    assert standing(1000, vector=7)["clock"] - idle == pytest.approx(7 * flip_flops["vector unit"] * 0.0083)


def test_new_data_in_registers_cost_what_the_table_says() -> None:
    """A MAC of 16 x 4 x 4 bits: operands, products, sums and accumulator, a sixteenth of a lane's."""
    assert OPEN.logic is not None
    held = {"operand": 129, "product": 128, "tree": 8 * 9 + 4 * 10 + 2 * 11 + 12, "accumulator's": 32}
    silent = OPEN.model_copy(update={"logic": OPEN.logic.model_copy(update={"register_pj": 0.0})})
    energies = [layer_energy({"macs": 16}, ACCEL, table)["macs"] for table in (OPEN, silent)]
    assert energies[0] - energies[1] == pytest.approx(sum(held.values()) * OPEN.logic.register_pj)


def test_a_dram_that_waits_takes_power_by_its_capacity() -> None:
    found = standing(1_000_000)  # 2 ms, a quarter of a GiB
    assert found["DRAM idle"] == pytest.approx(98 / 4 * 2e6)
    assert found["DRAM refresh"] == pytest.approx(13.8 / 4 * 2e6)


def test_writes_have_a_cost_of_their_own_where_the_source_gives_one() -> None:
    energy = layer_energy({"dram_read_bytes": 8, "dram_write_bytes": 8}, ACCEL, OPEN)
    assert energy["dram_read_bytes"] == pytest.approx(329)
    assert energy["dram_write_bytes"] == pytest.approx(376)


@pytest.mark.parametrize("name", list_technologies())
def test_every_technology_has_areas_and_energies_of_every_target(name: str) -> None:
    table = load_technology(name)
    for target in list_targets():
        hardware = load_hardware(target)
        assert hardware.area(table).mm2 > 0
        energy = layer_energy(dict.fromkeys(EVENTS, 1), hardware, table, 10)
        assert all(pj >= 0 for pj in energy.values())


def test_smaller_processes_take_less() -> None:
    for name in ("scaled-28nm", "jouppi-7nm"):
        assert load_technology(name).integer_multiply.pj(8) < OPEN.integer_multiply.pj(8)
        assert ACCEL.area(name).mm2 < ACCEL.area("open-45nm").mm2


def test_drams_are_read_by_name_and_an_unknown_one_says_which_there_are() -> None:
    assert [load_dram(name).name for name in list_drams()] == list_drams()
    with pytest.raises(ConfigError, match="unknown DRAM 'sram'; known are hbm2, lpddr3-1600, lpddr4-3200"):
        load_dram("sram")
