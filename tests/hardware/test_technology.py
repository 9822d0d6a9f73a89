"""Technology files: what is refused, and what the laws between their points do."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware import list_technologies, load_technology
from tvm_vsq.hardware.technology import power_law

SHIPPED = load_technology("horowitz-45nm")


def edited(tmp_path: Path, edit: Any) -> Path:
    data = copy.deepcopy(SHIPPED.model_dump(mode="json"))
    edit(data)
    path = tmp_path / "edited.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def test_every_shipped_technology_loads_under_its_file_name() -> None:
    assert [load_technology(name).name for name in list_technologies()] == list_technologies()


def test_a_file_written_from_a_technology_reads_back_equal(tmp_path: Path) -> None:
    assert load_technology(edited(tmp_path, lambda data: None)) == SHIPPED


def test_the_numbers_of_the_source_are_met_exactly() -> None:
    assert [SHIPPED.integer_add.pj(bits) for bits in (8, 32)] == pytest.approx([0.03, 0.1])
    assert [SHIPPED.integer_multiply.pj(bits) for bits in (8, 32)] == pytest.approx([0.2, 3.1])
    assert [SHIPPED.sram_access.pj(kib) for kib in (8, 32, 1024)] == pytest.approx([10, 20, 100])


@given(
    st.floats(0.2, 3),
    st.floats(0.01, 100),
    st.floats(1, 1000),
    st.lists(st.floats(2, 10), min_size=1, max_size=3),
)
def test_a_power_law_is_reproduced_everywhere(
    exponent: float, factor: float, x: float, steps: list[float]
) -> None:
    sizes = [float(math.prod(steps[:count])) for count in range(len(steps) + 1)]
    points = [(size, factor * size**exponent) for size in sizes]
    assert power_law(points, x) == pytest.approx(factor * x**exponent)


@given(st.floats(0.5, 4096), st.floats(0.5, 4096))
def test_a_larger_memory_never_costs_less(a: float, b: float) -> None:
    small, large = sorted((a, b))
    assert SHIPPED.sram_access.pj(small) <= SHIPPED.sram_access.pj(large)


REFUSED = {
    "unknown key": (lambda d: d.update(leakage_mw=3), r"unknown key 'leakage_mw'; remove it or correct"),
    "unknown nested key": (lambda d: d["dram_access"].update(nj=1.3), r"unknown key 'dram_access\.nj'"),
    "missing table": (
        lambda d: d.pop("sram_access"),
        r"key 'sram_access' is missing; add it \(target_configs/",
    ),
    "missing source": (lambda d: d["integer_add"].pop("source"), r"key 'integer_add\.source' is missing"),
    "empty source": (
        lambda d: d["integer_add"].update(source=""),
        r"integer_add\.source: .*at least 1 character",
    ),
    "negative energy": (
        lambda d: d["dram_access"].update(pj=-1),
        r"dram_access\.pj: .*greater than or equal to 0\.000000001 \(got -1\)",
    ),
    "not a number": (
        lambda d: d["dram_access"].update(pj="much"),
        r"dram_access\.pj: .*valid number \(got 'much'\)",
    ),
    "infinite energy": (
        lambda d: d["dram_access"].update(pj=float("inf")),
        r"dram_access\.pj: .*\(got inf\)",
    ),
    "one point": (lambda d: d["integer_add"]["points"].pop(), r"integer_add\.points: .*at least 2 items"),
    "unsorted points": (
        lambda d: d["sram_access"]["points"].reverse(),
        r"sram_access\.points: size and energy must rise .* sort the points or correct the numbers",
    ),
    "wider but cheaper": (
        lambda d: d["integer_multiply"]["points"][1].update(pj=0.1),
        r"integer_multiply\.points: size and energy must rise from point to point, but \(32, 0\.1 pJ\)",
    ),
    "next to nothing": (
        lambda d: d["integer_add"]["points"][0].update(pj=5e-324),
        r"integer_add\.points\.0\.pj: .*greater than or equal to 0\.000000001",
    ),
    "steeper than anything": (
        lambda d: d["sram_access"].update(points=[{"kib": 8, "pj": 10}, {"kib": 8.01, "pj": 20}]),
        r"sram_access\.points: energy must rise by at most the 4th power of the size, but \(8\.01, 20 pJ\)",
    ),
    "macros that shrink": (
        lambda d: d["sram_macros"]["macros"][0]["points"][1].update(area_mm2=1e-6),
        r"sram_macros\.macros\.0\.points: size and area_mm2 must rise from point to point",
    ),
    "leakage that falls": (
        lambda d: d["sram_macros"]["macros"][0]["points"][1].update(leakage_mw=1e-9),
        r"sram_macros\.macros\.0\.points: size and leakage_mw must rise",
    ),
    "all but no cells": (lambda d: d["logic"].update(utilization=5e-324), r"logic\.utilization: .*0\.01"),
    "unknown gates": (
        lambda d: d["logic"].update(gates="../osu018"),
        r"logic\.gates: unknown coefficients '\.\./osu018'; known are osu018",
    ),
    "zero width": (lambda d: d["integer_add"]["points"][0].update(bits=0), r"integer_add\.points\.0\.bits: "),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_technology_is_refused_with_key_and_remedy(name: str, tmp_path: Path) -> None:
    edit, message = REFUSED[name]
    path = edited(tmp_path, edit)
    with pytest.raises(ConfigError, match=message) as caught:
        load_technology(path)
    assert all(line.startswith(str(path)) for line in str(caught.value).splitlines())


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown technology 'tsmc-3nm'; known are .*horowitz-45nm"):
        load_technology("tsmc-3nm")


def test_all_faults_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    def edit(data: Any) -> None:
        data.update(leakage_mw=3)
        data.pop("process_nm")

    with pytest.raises(ConfigError) as caught:
        load_technology(edited(tmp_path, edit))
    assert "leakage_mw" in str(caught.value)
    assert "process_nm" in str(caught.value)
