"""Sweeps: what is computed once, what is kept, and that neither workers nor interruptions change results."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from tests.explore.here import Here
from torch import nn

import tvm_vsq
from tvm_vsq.errors import ConfigError, InputError, ToolError, VsqWarning
from tvm_vsq.explore import SweepResult, run
from tvm_vsq.explore.identity import function_digest
from tvm_vsq.schedule import Database

SPACE = {"quant": ["4/4/4/4", "8/8/-/-"], "dram.bytes_per_cycle": [8, 16], "clock_mhz": [500, 700]}


class Net(nn.Module):
    """Two layers; the second reads rows that the first makes."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 20, 3)
        self.linear = nn.Linear(20 * 16, 5)

    def forward(self, x):
        return self.linear(torch.relu(self.conv(x)).flatten(1))


@pytest.fixture(scope="module")
def data():
    return np.random.default_rng(0).standard_normal((24, 3, 6, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def arguments(data):
    expected = Net().eval()(torch.from_numpy(data)).argmax(1).numpy()

    def evaluate(network):
        return float((network.run_batch(data).argmax(1) == expected).mean())

    return {
        "model": Net().eval(),
        "example_inputs": (torch.zeros(1, 3, 6, 6),),
        "calibration": data,
        "evaluate": evaluate,
        "technology": "open-45nm",
        "progress": False,
    }


@pytest.fixture
def here(monkeypatch):
    """`sweep` in this process; returns its result and the crew."""

    def sweep(crew=None, /, **named):
        crew = crew or Here()

        @contextmanager
        def workers(_count, _scheduler):
            yield crew

        monkeypatch.setattr(run, "started_workers", workers)
        return tvm_vsq.sweep(**named), crew

    return sweep


@pytest.fixture(scope="module")
def found(arguments, tmp_path_factory):
    """A sweep by a process of its own, which is killed half-way, and its folder."""
    parent = tmp_path_factory.mktemp("sweep")
    evaluate, mark = arguments["evaluate"], parent / "died"

    def dies_once(network):
        if hasattr(network, "hardware") and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return evaluate(network)

    dies_once.digest = function_digest(evaluate)
    named = {**arguments, "evaluate": dies_once}
    result = tvm_vsq.sweep(space=SPACE, folder=parent / "of_net", workers=1, **named)
    assert mark.exists()
    return result, parent / "of_net"


@pytest.fixture
def folder(found, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(found[1], tmp_path / "copy")


def test_each_point_is_what_compile_makes_of_it(found, arguments, data):
    result, _ = found
    for place in (1, 6):
        point, row = result.point(place), result.rows[place]
        exe = tvm_vsq.compile(
            arguments["model"],
            point.hardware,
            quant=point.config,
            example_inputs=arguments["example_inputs"],
            calibration=data,
            schedules="default",
        )
        profile = exe.timing("open-45nm")
        assert row["accuracy"] == arguments["evaluate"](exe)
        assert (row["cycles"], row["milliseconds"]) == (profile.cycles, profile.milliseconds)
        assert row["energy_uj"] == profile.energy_pj / 1e6
        assert row["area_mm2"] == point.hardware.area("open-45nm").mm2
        assert row["energy_by_part_pj"] == profile.energy_by_part()
        assert [layer["cycles"] for layer in row["layers"]] == [layer.cycles for layer in profile.layers]


def test_fp32_is_evaluated_as_points_are(found):
    assert found[0].fp32 == {"accuracy": 1.0}


def test_the_table_is_of_all_points_in_the_order_of_the_space(found):
    table = found[0].table
    assert list(table["quant"]) == ["4/4/4/4"] * 4 + ["8/8/-/-"] * 4
    assert list(table["clock_mhz"]) == [500, 700] * 4
    assert list(table["error"]) == [""] * 8
    faster = table[table["clock_mhz"] == 700]
    assert list(faster["cycles"]) == list(table[table["clock_mhz"] == 500]["cycles"])
    assert len(found[0].front) == table["pareto"].sum() > 0


def test_this_process_finds_the_same_as_one_that_dies(found, arguments, here):
    result, _ = here(space=SPACE, **arguments)
    assert result.to_json() == found[0].to_json()


def test_what_points_share_is_computed_once(arguments, here):
    _, crew = here(space=SPACE, **arguments)
    # two formats; for each two bandwidths, but one program for both clocks
    assert sorted(crew.done) == ["costs"] * 4 + ["fp32_metrics"] + ["numbers"] * 2


def test_an_interrupted_sweep_goes_on_from_its_folder(found, arguments, here, tmp_path):
    folder = tmp_path / "sweep"
    with pytest.raises(KeyboardInterrupt):
        here(Here(stop_after=4), space=SPACE, folder=folder, **arguments)
    with pytest.raises(InputError, match="has to run to its end"):
        SweepResult.load(folder)
    result, crew = here(space=SPACE, folder=folder, **arguments)
    assert crew.done == ["costs"] * 3
    assert result.to_json() == found[0].to_json() == SweepResult.load(folder).to_json()
    assert not list((folder / "quantized").iterdir())
    assert not list((folder / "shared").iterdir())


def test_a_larger_space_takes_the_points_that_are_there(folder, arguments, here):
    result, crew = here(space={**SPACE, "clock_mhz": [500, 600]}, folder=folder, **arguments)
    assert sorted(crew.done) == ["costs"] * 4 + ["numbers"] * 2
    assert len(result.rows) == 8


def test_a_folder_of_another_model_or_of_no_sweep_is_refused(found, arguments, here, tmp_path):
    torch.manual_seed(1)
    other = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(128, 5)).eval()
    with pytest.raises(ConfigError, match="is of another model; give a new folder"):
        here(space=SPACE, folder=found[1], **{**arguments, "model": other})
    with pytest.raises(ConfigError, match="is of another evaluate; give a new folder"):
        here(space=SPACE, folder=found[1], **{**arguments, "evaluate": lambda network: 1.0})
    with pytest.raises(ConfigError, match="there is no quantity 'none'"):
        here(space=SPACE, folder=tmp_path / "new", constraints=["none < 1"], **arguments)
    # nothing was finished there
    half = {**arguments, "evaluate": lambda network: 0.5}
    again, _ = here(space={"quant": ["8/8/-/-"]}, folder=tmp_path / "new", **half)
    assert again.fp32 == {"accuracy": 0.5}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds notes\.txt, but no sweep"):
        here(space=SPACE, folder=tmp_path / "mine", **arguments)


def test_files_hold_the_table(found):
    import pandas

    result, folder = found
    for table in (pandas.read_parquet(folder / "points.parquet"), pandas.read_csv(folder / "points.csv")):
        numbered = table.reset_index() if "point" not in table else table
        assert list(numbered.columns) == ["point", *result.table.columns]
        assert list(numbered["point"]) == list(range(8))
        np.testing.assert_array_equal(table["energy_uj"], result.table["energy_uj"])
        np.testing.assert_array_equal(table["pareto"], result.table["pareto"])


def test_constraints_keep_points_off_the_front_and_save_work(arguments, here):
    space = {"output_lanes": [8, 16, 32], "quant": ["4/4/4/4", "8/8/-/-"]}
    free, _ = here(space=space, **arguments)
    limit = sorted(row["area_mm2"] for row in free.rows)[2]
    result, crew = here(
        space=space,
        constraints=[f"area_mm2 <= {limit}", "energy < 1e9", "accuracy >= fp32 - 0.9"],
        **arguments,
    )
    assert [row["feasible"] for row in result.rows] == [row["area_mm2"] <= limit for row in free.rows]
    assert crew.done.count("costs") == 3
    assert {row["error"] for row in result.rows if not row["feasible"]} == {
        f"not measured: its area breaks 'area_mm2 <= {limit}'"
    }
    tight, _ = here(space=space, constraints=["cycles < 1"], **arguments)
    assert not any(row["feasible"] or row["pareto"] for row in tight.rows)


def test_a_point_that_cannot_be_has_a_row_with_the_reason(arguments, here):
    space = {"scratchpads.wgt_kib": [1, 128], "output_lanes": [16, 17], "quant": ["4/4/4/4"]}
    result, _ = here(space=space, **arguments)
    errors = [row["error"] for row in result.rows]
    assert "output_lanes" in errors[1]
    assert errors[2] == ""
    assert "output_lanes" in errors[3]
    assert [row["feasible"] for row in result.rows] == [not error for error in errors]


def test_a_metric_that_is_not_finite_is_the_reason_of_its_points(arguments, here):
    def evaluate(network):
        return {"a": 1, "b": np.inf if getattr(network, "hardware", None) else 0}

    result, _ = here(
        space={"quant": ["8/8/-/-"], "clock_mhz": [500, 700]}, **{**arguments, "evaluate": evaluate}
    )
    assert [row["error"] for row in result.rows] == ["evaluate returned b=inf for quant '8/8/-/-'"] * 2
    assert not any(row["feasible"] for row in result.rows)


def test_without_evaluate_costs_need_no_data(arguments, here):
    costs = {name: arguments[name] for name in ("model", "example_inputs", "technology", "progress")}
    result, crew = here(space=SPACE, **costs)
    assert crew.done.count("numbers") == 2
    assert (result.metrics, result.fp32) == ((), {})
    with_data, _ = here(space=SPACE, **arguments)
    assert [row["cycles"] for row in result.rows] == [row["cycles"] for row in with_data.rows]
    assert [each.name for each in result.objectives] == ["milliseconds", "energy_uj", "area_mm2"]


@pytest.mark.large
def test_tuned_schedules_are_never_slower(arguments, here):
    space = {"quant": ["4/4/4/4"], "dram.bytes_per_cycle": [8]}
    result, _ = here(space=space, schedules="tune", tune_trials=4, **arguments)
    default, _ = here(space=space, **arguments)
    assert result.rows[0]["default_cycles"] == default.rows[0]["cycles"] >= result.rows[0]["cycles"]
    assert "default_cycles" in result.table
    again, _ = here(space=space, schedules=Database(), **arguments)
    assert again.rows[0]["cycles"] == default.rows[0]["cycles"]


@pytest.mark.parametrize("search", [pytest.param("nsga2", marks=pytest.mark.large), "tpe"])
def test_a_search_proposes_the_same_points_in_any_process(arguments, here, search):
    space = {"quant": ["4/4/4/4", "8/8/-/-"], "output_lanes": [8, 16, 32], "dram.bytes_per_cycle": [4, 8, 16]}
    costs = {name: arguments[name] for name in ("model", "example_inputs", "technology", "progress")}
    named = {"space": space, "search": search, "trials": 20, "constraints": ["area < 8"], **costs}
    result, _ = here(**named)
    assert 10 < len(result.rows) <= 18
    assert result.to_json() == here(**named)[0].to_json()
    other, _ = here(**named, seed=1)
    assert [row["quant"] for row in other.rows] != [row["quant"] for row in result.rows]


@pytest.mark.parametrize(
    ("named", "kind", "message"),
    [
        ({"search": "random"}, ConfigError, "there are grid, nsga2, tpe"),
        ({"search": "tpe"}, ConfigError, "needs trials="),
        ({"trials": 3}, ConfigError, "a grid has all its points measured"),
        ({"quant": "4/4/4/4"}, ConfigError, "formats are the axis 'quant'"),
        ({"evaluate": 3}, ConfigError, "evaluate must be a function"),
        ({"evaluate": lambda network: "good"}, InputError, "evaluate returned accuracy='good'"),
        ({"evaluate": lambda network: {"cycles": 1}}, InputError, "a metric called 'cycles'"),
        ({"evaluate": lambda network: 1 / 0}, InputError, "failed for the fp32 network: ZeroDivisionError"),
        ({"evaluate": lambda network: exit(3)}, InputError, r"SystemExit: 3 \(.*, line \d+\)"),
        ({"evaluate": lambda network: np.zeros(3)}, InputError, "evaluate returned accuracy=array"),
        ({"evaluate": lambda network: np.nan}, InputError, "accuracy=nan for the fp32 network, so there is"),
        ({"evaluate": lambda network: {"error": 1}}, InputError, "a metric called 'error'"),
        ({"evaluate": lambda network: {"quant": 1}}, InputError, "a metric called as the axis quant"),
        (
            {"evaluate": lambda n: {"a": 1, type(n).__name__: 1}},
            InputError,
            "but a, Executable for quant '4/4",
        ),
        (
            {"space": {"technology": ["open-45nm"]}},
            ConfigError,
            "technology is an axis of the space, and given",
        ),
        (
            {"space": {"output_lanes": [17]}},
            ConfigError,
            "no point of the space can be built: .*output_lanes",
        ),
        ({"objectives": ["top5"]}, ConfigError, "there is no quantity 'top5'"),
        ({"constraints": ["top5 > 1"]}, ConfigError, "constraint 'top5 > 1': there is no quantity 'top5'"),
        ({"constraints": ["area < fp32 * 0.5"]}, ConfigError, "known: accuracy; give a number"),
        ({"schedules": "tune", "tune_trials": 0}, ConfigError, "tune_trials=0"),
        ({"search": "nsga2", "trials": 2, "space": [SPACE, SPACE]}, ConfigError, "takes one grid"),
    ],
)
def test_what_is_wrong_is_refused_by_name(arguments, here, named, kind, message):
    with pytest.raises(kind, match=message):
        here(**{"space": {"quant": ["4/4/4/4"]}, **arguments, **named})


def test_calibration_that_nothing_uses_is_said(arguments, here):
    with pytest.warns(VsqWarning, match="calibration is not used"):
        here(space={"quant": ["4/4/4/4"]}, **{**arguments, "evaluate": None})


def test_workers_are_a_number(arguments):
    with pytest.raises(ConfigError, match="workers=0"):
        tvm_vsq.sweep(space=SPACE, workers=0, **arguments)


def test_warnings_of_workers_are_given_once(arguments, here, data):
    config = tvm_vsq.QuantConfig.parse("4/4/4/4")
    with pytest.warns(VsqWarning) as caught:
        here(space={"output_lanes": [8, 16]}, quant=config, **{**arguments, "calibration": data[:1]})
    messages = [str(each.message) for each in caught if issubclass(each.category, VsqWarning)]
    assert len(messages) == len(set(messages)) > 0


@pytest.mark.large
def test_any_number_of_workers_find_the_same(found, arguments):
    assert tvm_vsq.sweep(space=SPACE, workers=2, **arguments).to_json() == found[0].to_json()


@pytest.mark.large
def test_a_worker_that_always_dies_ends_the_sweep(arguments):
    def dies(network):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ToolError, match="evaluating the fp32 network: its worker died 3 times"):
        tvm_vsq.sweep(space=SPACE, workers=1, **{**arguments, "evaluate": dies})
