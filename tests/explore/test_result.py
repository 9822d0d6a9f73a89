"""What prints, and the picture and the page of a sweep."""

from __future__ import annotations

import gzip
import json
import re

import pytest

from tvm_vsq.errors import ConfigError, InputError
from tvm_vsq.explore import SweepResult
from tvm_vsq.explore.goals import Constraint, Objective
from tvm_vsq.explore.page import page_of
from tvm_vsq.explore.plot import front_of

EMPTY = {
    "version": 1,
    "rows": [],
    "axes": [],
    "metrics": [],
    "objectives": [],
    "constraints": [],
    "fp32": {},
    "notes": [],
}
ACCURACY, ENERGY = Objective("accuracy", True), Objective("energy_uj", False)


def row(quant, accuracy, energy, **more):
    layer = {
        "name": "conv<1>",
        "op": "conv2d",
        "shape": "3 > 8",
        "macs": 10,
        "cycles": 100,
        "utilization": 0.5,
    }
    layer |= {"energy_pj": 7.0, "dram_bytes": 64, "bound": "compute", "tuned": False}
    costs = {"cycles": 100, "milliseconds": 0.1, "energy_uj": energy, "area_mm2": None, "dram_bytes": 64}
    costs |= {
        "utilization": 0.5,
        "cpu_macs_share": 0.0,
        "technology": "t",
        "error": "",
        "not_counted": "1 pad",
    }
    costs |= {
        "layers": [layer],
        "energy_by_part_pj": {"DRAM": 3.0, "MACs": 1.0},
        "area_note": "no areas in t",
    }
    return {"quant": quant, "accuracy": accuracy, **costs, **more}


@pytest.fixture(scope="module")
def result():
    rows = [
        row("4/4/4/4", 0.8, 10.0),
        row("6/6/4/4", 0.9, 14.0),
        row("8/8/-/-", 0.9, 20.0),
        row("2/2/4/4", 0.2, 5.0),
        {"quant": "9/9/-/-", "error": "weight_bits: 9 is refused"},
    ]
    objectives = ACCURACY, ENERGY, Objective("area_mm2", False)
    constraints = [Constraint.parse("accuracy > 0.5")]
    return SweepResult.of(rows, ["quant"], ["accuracy"], objectives, constraints, {"accuracy": 0.95})


def test_points_are_judged(result):
    assert [each["feasible"] for each in result.rows] == [True, True, True, False, False]
    assert [each["pareto"] for each in result.rows] == [True, True, False, False, False]
    assert list(result.front["quant"]) == ["6/6/4/4", "4/4/4/4"]


def test_an_objective_that_no_point_has_is_left_out_with_a_note(result):
    assert result.objectives == (ACCURACY, ENERGY)
    assert result.notes == ("area_mm2 is no objective here: no point has it", "no areas in t")


def test_the_front_of_two_quantities_is_joined_from_left_to_right(result):
    found = front_of(result, list(result.rows[:4]), "energy_uj", "accuracy")
    assert [each["quant"] for each in found] == ["4/4/4/4", "6/6/4/4"]


def test_it_prints_the_front_and_what_has_no_costs(result):
    text = result.to_str(width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith("5 points, 3 feasible, 2 on the Pareto front of most accuracy, least energy_uj")
    rows = [line for line in text.splitlines() if line.startswith("│")]
    assert [re.findall(r"./././.", line) for line in rows] == [["6/6/4/4"], ["4/4/4/4"]]
    for note in (
        "1 without costs: weight_bits: 9 is refused",
        "fp32: accuracy 0.95",
        "accuracy > 0.5",
        "1 pad",
    ):
        assert note in text
    assert repr(result) == "<SweepResult: 5 points, 3 feasible, 2 on the Pareto front>"


def test_axes_that_tell_points_apart_are_there_however_narrow_the_terminal_is():
    names = ["target", "clock_mhz", "scratchpads.inp_kib", "quant", "guard_bits"]
    rows = [
        row("4/4/4/4", 0.8 + n / 100, 10.0 + n)
        | {"target": "a target with a long name", "clock_mhz": 500 + n, "guard_bits": n}
        | {"scratchpads.inp_kib": 8 * (1 + n)}
        for n in range(3)
    ]
    text = SweepResult.of(rows, names, ["accuracy"], [ACCURACY, ENERGY], [], {}).to_str(width=46)
    head = " ".join(line for line in text.splitlines() if line.startswith("┃"))
    assert set(re.findall(r"\w+", head)) >= {"point", "clock", "inp", "guard"}
    assert not {"target", "quant"} & set(re.findall(r"\w+", head))


def test_json_is_read_back(result, tmp_path):
    (tmp_path / "r.json").write_text(result.to_json())
    (tmp_path / "r.json.gz").write_bytes(gzip.compress(result.to_json().encode()))
    assert SweepResult.load(tmp_path / "r.json") == SweepResult.load(tmp_path / "r.json.gz") == result


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *(
            (json.dumps({**EMPTY, name: wrong}), "is damaged")
            for name, wrong in (
                ("rows", ["a"]),
                ("rows", [{}]),
                ("rows", [{"error": "", "feasible": True, "pareto": True, "cycles": "many"}]),
                ("axes", "quant"),
                ("axes", [None]),
                ("fp32", [1]),
                ("fp32", {"a": "b"}),
                ("objectives", [{"name": "a"}]),
            )
        ),
        ('{"version": 1}', "is damaged"),
        ("[]", "holds no sweep"),
        ("{", "must be JSON"),
    ],
)
def test_a_file_that_is_no_result_is_refused(tmp_path, content, message):
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(InputError, match=message):
        SweepResult.load(tmp_path / "r.json")


def test_a_folder_that_is_no_sweep_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no sweep"):
        SweepResult.load(tmp_path)


@pytest.mark.parametrize(
    ("place", "message"), [(5, "there are 0 to 4"), ("a", "no point"), (4, "was not built: w")]
)
def test_a_point_that_is_none_is_refused(result, place, message):
    with pytest.raises(InputError, match=message):
        result.point(place)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_picture_is_written(result, tmp_path, suffix):
    result.plot(tmp_path / f"p{suffix}")
    assert (tmp_path / f"p{suffix}").stat().st_size > 5_000


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"x": "money"}, "no quantity of the sweep"),
        ({"by": "lanes"}, "no axis"),
        ({"x": "area_mm2"}, "no point has"),
    ],
)
def test_a_picture_of_what_there_is_not_is_refused(result, tmp_path, named, message):
    with pytest.raises(InputError, match=message):
        result.plot(tmp_path / "p.png", **named)


def test_a_picture_of_one_objective_has_another_quantity_beside(tmp_path):
    rows = [row("4/4/4/4", 0.8, 10.0), row("8/8/-/-", 0.9, 20.0)]
    result = SweepResult.of(rows, ["quant"], ["accuracy"], [ENERGY], [], {})
    result.plot(tmp_path / "p.png")
    assert "energy" in page_of(result).to_html("beside")
    assert result.to_str(width=40).startswith("2 points")


def test_each_point_of_the_page_opens_its_tables(result):
    page = page_of(result).to_html("beside")
    points = {f"point-{place}" for place in range(4)}
    figure = json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S)[1])
    linked = [name for trace in figure["data"] for name in trace.get("customdata", [])]
    assert set(linked) == points == set(re.findall(r'id="(point-\d+)"', page))
    assert "conv&lt;1&gt;" in page
    assert "weight_bits: 9 is refused" in page
    assert "3 are feasible (accuracy &gt; 0.5)" in page
