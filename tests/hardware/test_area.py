"""Area: components times what their parts and macros take."""

from __future__ import annotations

import math
import re
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from tests.accelerators import accelerator

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware import (
    Area,
    HardwareConfig,
    list_targets,
    load_hardware,
    load_technology,
    parse_hardware,
)
from tvm_vsq.hardware.area import ESTIMATED, MEMORY, SYNTHESISED, compared, memory_mm2
from tvm_vsq.hardware.components import components
from tvm_vsq.hardware.gates import load_gates
from tvm_vsq.hardware.units import Adder, Multiplier, Register, Sram

ACCEL = load_hardware("vsq-accel")
TABLE = load_technology("horowitz-45nm")
DOCUMENT = Path(__file__).parents[2] / "docs/simulator.md"


def array_ratio(notation: str, **formats: int) -> float:
    """Of the array in these formats to 8/8/-/-, at V = 16 unless said otherwise."""
    size = formats.get("vector_size")
    baseline = ACCEL.with_formats("8/8/-/-", vector_size=size)
    return compared(ACCEL.with_formats(notation, **formats).area(), baseline.area())["array"]


@pytest.mark.parametrize("target", list_targets())
def test_every_shipped_target_has_an_area_that_is_the_sum_of_its_rows(target: str) -> None:
    area = load_hardware(target).area()
    assert math.isclose(area.mm2, sum(row.mm2 for row in area.rows))
    assert math.isclose(sum(area.by_group().values()), area.mm2)
    memories = sum(row.mm2 for row in area.rows if row.basis == MEMORY)
    assert math.isclose(area.logic_mm2 + memories, area.mm2)
    assert all(row.mm2 > 0 for row in area.rows)
    assert {row.basis for row in area.rows} == {SYNTHESISED, ESTIMATED, MEMORY}


def test_a_unit_takes_its_parts_by_the_coefficients_of_the_file() -> None:
    gates = load_gates("osu018")
    assert gates.of(Adder(20)) == pytest.approx(20 * gates.adder)
    assert gates.of(Register(7)) == pytest.approx(7 * 4)  # DFFPOSX1 has 4 times the area of NAND2X1
    assert gates.of(Multiplier(4, 6)) == pytest.approx(24 * gates.product + 15 * gates.compress)


def test_logic_is_gates_times_their_area_over_utilization() -> None:
    row = next(row for row in ACCEL.area().rows if row.component == "accumulator's register")
    assert TABLE.logic is not None
    assert row.gates == pytest.approx(16 * 32 * 4)
    assert row.mm2 == pytest.approx(row.gates * 0.798 / TABLE.logic.utilization / 1e6)


def test_the_file_of_the_technology_has_the_area_of_a_macro() -> None:
    assert TABLE.sram_macros is not None
    assert memory_mm2(Sram(8, 64, 1), TABLE.sram_macros) == pytest.approx(0.0533174)
    assert memory_mm2(Sram(8, 64, 1, 4, 3), TABLE.sram_macros) == pytest.approx(0.312551)


def test_a_wide_memory_of_several_banks_is_macros_side_by_side() -> None:
    assert TABLE.sram_macros is not None
    # 2 banks of 4 macros, 64 KiB in all
    assert memory_mm2(Sram(64, 256, 2), TABLE.sram_macros) == pytest.approx(8 * 0.0533174)


def test_narrow_formats_take_less_and_scales_take_some_of_it_back() -> None:
    plain, scaled, rounded = (
        array_ratio("4/4/-/-"),
        array_ratio("4/4/4/4"),
        array_ratio("4/4/4/4", scale_product_bits=4),
    )
    assert plain < rounded < scaled < 1


def test_longer_vectors_share_a_scale_unit() -> None:
    assert array_ratio("4/8/6/10", vector_size=64) < array_ratio("4/8/6/10", vector_size=16)


def test_ports_of_scratchpads_are_those_of_the_document() -> None:
    text = DOCUMENT.read_text()
    found = re.search(r"`acc` is read by ([\w, ]+) and written by ([\w, ]+),\s+`inp` read by ([\w, ]+)", text)
    assert found is not None
    readers, writers, inp = (len(re.split(r", | and ", names)) for names in found.groups())
    units = {component.name: component.unit for component in components(ACCEL)}
    acc, inputs = units["accumulator scratchpad"], units["input scratchpad"]
    assert isinstance(acc, Sram)
    assert isinstance(inputs, Sram)
    assert (acc.reads, acc.writes, inputs.reads) == (readers, writers, inp)


def test_a_technology_without_areas_is_refused_by_name() -> None:
    bare = TABLE.model_copy(update={"logic": None})
    with pytest.raises(ConfigError, match="horowitz-45nm has no areas; give it `logic` and `sram_macros`"):
        ACCEL.area(bare)


def test_a_technology_without_such_ports_says_which_it_has() -> None:
    assert TABLE.sram_macros is not None
    kept = tuple(macro for macro in TABLE.sram_macros.macros if macro.ports == "1r1w")
    few = TABLE.model_copy(update={"sram_macros": TABLE.sram_macros.model_copy(update={"macros": kept})})
    with pytest.raises(ConfigError, match="sram_macros has 1r1w; a memory of 2r1w is needed: add it"):
        ACCEL.area(few)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda macros: macros[0]["points"].reverse(),
            r"macros.0.points: size and area_mm2 must rise .*\(128, .*\) follows \(256, ",
        ),
        (
            lambda macros: macros[0]["points"].insert(0, dict(macros[0]["points"][0])),
            r"\(0\.5, .*\) follows \(0\.5, ",
        ),
        (lambda macros: macros.append(deepcopy(macros[0])), "1r1w is there 2 times"),
        (lambda macros: macros[0].update(ports="two"), "ports"),
    ],
)
def test_macros_that_cannot_be_are_refused(change, message: str, tmp_path: Path) -> None:
    table = TABLE.model_dump(mode="json")
    change(table["sram_macros"]["macros"])
    path = tmp_path / "odd.yaml"
    path.write_text(yaml.safe_dump(table))
    with pytest.raises(ConfigError, match=message):
        ACCEL.area(path)


@pytest.mark.parametrize(
    ("key", "least"), [("gemm_pipeline_cycles", 4), ("vector_pipeline_cycles", 6), ("ppu_pipeline_cycles", 8)]
)
def test_a_pipeline_that_is_too_short_is_refused_with_what_it_needs(key: str, least: int) -> None:
    short = accelerator({"timing": {key: least - 1}})
    with pytest.raises(
        ConfigError, match=f"timing.{key}={least - 1} is too short .* set it to {least} or more"
    ):
        short.area()
    assert isinstance(accelerator({"timing": {key: least}}).area(), Area)


def test_any_description_that_is_accepted_has_an_area(tmp_path: Path) -> None:
    data = ACCEL.model_dump() | {"output_lanes": 4, "vector_size": 64, "name": "odd"}
    data["timing"] = data["timing"] | {"ppu_pipeline_cycles": 40}
    hardware: HardwareConfig = parse_hardware(data, "odd")
    assert hardware.area().mm2 > 0
