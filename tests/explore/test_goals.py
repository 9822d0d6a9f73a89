"""Constraints, objectives and the Pareto front."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tvm_vsq.errors import ConfigError
from tvm_vsq.explore.goals import Constraint, Objective, objectives_of, pareto

FP32 = {"accuracy": 0.9}


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("area_mm2 < 2", {"area_mm2": 1.9}, True),
        ("area < 2", {"area_mm2": 2.0}, False),
        ("area <= 2e0", {"area_mm2": 2.0}, True),
        ("cycles > 5", {"cycles": 5}, False),
        ("cycles >= 5", {"cycles": 5}, True),
        ("loss > -1.5", {"loss": -1}, True),
        ("accuracy >= fp32", {"accuracy": 0.9}, True),
        ("accuracy >= fp32 - 0.01", {"accuracy": 0.895}, True),
        ("accuracy >= fp32-0.01", {"accuracy": 0.885}, False),
        ("accuracy > fp32 + .05", {"accuracy": 0.94}, False),
        ("accuracy >= fp32 * 0.5", {"accuracy": 0.46}, True),
        ("accuracy >= fp32 * 0.5", {"accuracy": 0.44}, False),
        ("accuracy >= 0.5", {"accuracy": None}, False),
        ("accuracy >= 0.5", {}, False),
    ],
)
def test_constraints_compare(text, value, holds):
    constraint = Constraint.parse(text)
    assert constraint.holds(value, FP32) == holds
    if value.get(constraint.name) is not None:
        assert (constraint.violation(value, FP32) > 0) == (not holds)


@pytest.mark.parametrize(
    "text", ["", "area", "area 2", "2 > area", "area = 2", "area < fp32 / 2", "area < 2 mm", 2, None]
)
def test_what_is_no_constraint_is_refused_with_an_example(text):
    with pytest.raises(ConfigError, match=r'is not understood: .*"accuracy >= fp32 - 0\.01"'):
        Constraint.parse(text)


def test_more_of_metrics_and_less_of_costs_is_looked_for_unless_it_is_said():
    found = objectives_of(
        ["accuracy", "energy", "min:loss", "utilization", "max: cycles"], ["accuracy", "loss"]
    )
    assert found == (
        Objective("accuracy", True),
        Objective("energy_uj", False),
        Objective("loss", False),
        Objective("utilization", True),
        Objective("cycles", True),
    )


def test_by_default_the_first_metric_and_what_it_costs():
    assert [each.name for each in objectives_of(None, ["top1", "top5"])] == [
        "top1",
        "milliseconds",
        "energy_uj",
        "area_mm2",
    ]


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ("accuracy", "give a list"),
        ([], "give a list"),
        ([1], "no name of a quantity"),
        (["energie"], "there are .*energy"),
        (["least:cycles"], 'write "max:cycles" or "min:cycles"'),
    ],
)
def test_what_is_no_objective_is_refused(objectives, message):
    with pytest.raises(ConfigError, match=message):
        objectives_of(objectives, ["accuracy"])


@given(
    arrays.arrays(
        np.float64,
        st.tuples(st.integers(0, 12), st.integers(1, 3)),
        elements=st.integers(0, 3).map(float),
    )
)
def test_the_front_is_what_no_point_dominates(values):
    def dominated(row):
        return any(all(other <= row) and any(other < row) for other in values)

    np.testing.assert_array_equal(pareto(values), [not dominated(row) for row in values])
