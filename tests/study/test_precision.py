"""Formats chosen by layer: the best choice there is, and the aim is met in truth."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.seeds import one_of

import tvm_vsq
from tvm_vsq.errors import CalibrationError, ConfigError, QuantizationError
from tvm_vsq.study.links import Links
from tvm_vsq.study.precision import _least, _reach, _solve
from tvm_vsq.study.sensitivity import decibel

FORMATS = ("3/4/4/4", "4/4/4/4", "8/8/-/-")


@pytest.mark.parametrize("seed", range(8))
def test_the_choice_is_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    cost, used = rng.uniform(0.1, 1, (2, 5, 3))
    budget = used.min(axis=1).sum() + rng.uniform(0, 1)
    rows = np.arange(5)
    best = min(
        cost[rows, choice].sum()
        for choice in map(list, itertools.product(range(3), repeat=5))
        if used[rows, choice].sum() <= budget
    )
    found = _solve(cost, used, budget)
    assert used[rows, found].sum() <= budget * (1 + 1e-6)
    assert cost[rows, found].sum() == pytest.approx(best)


@pytest.mark.parametrize("seed", range(8))
def test_choices_that_are_linked_are_the_best_of_all_that_keep_the_links(seed):
    """Of formats of which the first two have scales, some layers take one if another does."""
    rng = np.random.default_rng(seed)
    cost, used = rng.uniform(0.1, 1, (2, 4, 3))
    pairs = [(0, 1), (1, 0), (2, 3)]
    rows = np.zeros((3, 4, 3))
    for row, (giving, needing) in zip(rows, pairs, strict=True):
        row[giving, :2], row[needing, :2] = 1, -1
    links = Links(rows.reshape(3, 12), np.zeros(3))
    kept = [
        choice
        for choice in itertools.product(range(3), repeat=4)
        if all(choice[needing] < 2 or choice[giving] == 2 for giving, needing in pairs)
    ]
    assert len(kept) < 3**4
    layers = np.arange(4)
    least = min(used[layers, choice].sum() for choice in kept)
    assert used[layers, _least(used, links)].sum() == pytest.approx(least)
    budget = least + rng.uniform(0, 0.5)
    best = min(cost[layers, choice].sum() for choice in kept if used[layers, choice].sum() <= budget)
    found = _solve(cost, used, budget, links)
    assert tuple(found) in kept
    assert cost[layers, found].sum() == pytest.approx(best)
    with pytest.raises(QuantizationError, match=r"no mix .*drop rules that give formats to readers of one"):
        _least(cost, Links(-(rows.reshape(3, 12)[:1] ** 2), np.array([-3.0])))


@pytest.fixture(scope="module")
def choose(networks):
    model, x = networks.build(networks.Mlp)
    data = networks.samples(networks.Mlp)

    def run(formats=FORMATS, **aim):
        return tvm_vsq.choose_formats(
            model, formats=formats, example_inputs=(x,), calibration=data, progress=False, **aim
        )

    return run


@pytest.mark.large
def test_a_target_is_reached_with_less_energy_than_the_widest_format(choose):
    found = choose(target_sqnr_db=25)
    assert found.sqnr_db >= 25
    assert found.energy_ratio < 1
    assert set(found.formats) == set(found.sensitivity.layers) == {"up", "down", "head"}


@pytest.mark.large
def test_a_budget_of_energy_is_kept_and_used(choose):
    tight, loose = (choose(max_energy_ratio=ratio) for ratio in (0.75, 1.0))
    assert tight.energy_ratio <= 0.75
    assert loose.sqnr_db > tight.sqnr_db
    total = sum(tight.energy_pj[name][notation] for name, notation in tight.formats.items())
    widest = max(sum(row[notation] for row in tight.energy_pj.values()) for notation in FORMATS)
    assert tight.energy_ratio == pytest.approx(total / widest)


def test_an_aim_that_the_first_mix_misses_is_reached_by_a_tighter_bound_before_the_best_formats_are_taken():
    """Layers together are 1 dB worse than the sum of their errors says."""
    noise = np.array([[1e-2, 1e-3, 1e-4, 1e-6]] * 3)
    energy = np.array([[1.0, 2.0, 3.0, 10.0]] * 3)
    mixes = []

    def mix(chosen):
        mixes.append(list(chosen))
        return SimpleNamespace(sqnr_db=decibel(float(noise[range(3), chosen].sum())) - 1, chosen=list(chosen))

    target = decibel(3e-3)  # by the sum, all layers in the second format reach it
    found = _reach(target, noise, energy, mix)
    assert mixes[0] == [1, 1, 1]
    assert found.sqnr_db >= target
    assert energy[range(3), found.chosen].sum() == 7  # two layers in the second format, one in the third
    with pytest.raises(QuantizationError, match="cannot be met"):
        _reach(decibel(3e-6), noise, energy, mix)


def test_a_rules_setting_changes_the_noise_of_its_layer_and_of_no_other(networks):
    model, x = networks.build(networks.Mlp)
    config = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()
    setting = {"activation_calibration": "percentile", "activation_percentile": 70.0}
    rule = tvm_vsq.Rule(layers="down", settings=setting)
    options = {"example_inputs": (x,), "calibration": networks.samples(networks.Mlp), "progress": False}
    plain, ruled = (
        tvm_vsq.profile_formats(model, formats=FORMATS[1:], quant=quant, **options).sensitivity
        for quant in (config, config.model_copy(update={"rules": (rule,)}))
    )
    assert plain.layers == ruled.layers
    for name, before, after in zip(plain.layers, plain.noise, ruled.noise, strict=True):
        assert (before != after) == (name == "down")


@pytest.mark.parametrize("base", one_of(["4/4/4/4", "8/8/-/-"]))
def test_the_config_gives_each_layer_its_format(choose, networks, base):
    found = choose(max_energy_ratio=0.8, quant=base)
    model, x = networks.build(networks.Mlp)
    data = networks.samples(networks.Mlp)
    report = tvm_vsq.quantization_report(model, quant=found.config, example_inputs=(x,), calibration=data)
    assert {layer.name: layer.formats for layer in report.layers} == found.formats
    assert report.output_sqnr_db == pytest.approx(found.sqnr_db, abs=0.01)
    assert tvm_vsq.QuantConfig.from_json(json.dumps(json.loads(found.to_json())["config"])) == found.config


def test_the_profile_prints_and_plots(choose, tmp_path):
    found = choose(max_energy_ratio=0.8)
    profile = found.sensitivity
    assert all(notation in str(profile) for notation in FORMATS)
    assert "all layers, measured" in str(profile)
    profile.plot(tmp_path / "s.png")
    assert (tmp_path / "s.png").stat().st_size > 1000
    noise = np.array(profile.noise)
    assert (noise[:, 2] < noise[:, 0]).all()
    assert json.loads(profile.to_json())["layers"] == list(profile.layers)


@pytest.mark.large
def test_rules_hold_for_the_layers_that_they_name(choose):
    config = tvm_vsq.QuantConfig.parse("4/4/4/4", rules=(tvm_vsq.Rule(layers="head", formats="8/8/6/6"),))
    found = choose(max_energy_ratio=0.9, quant=config)
    assert set(found.formats) == {"up", "down"}
    assert found.config.rules[0] == config.rules[0]


@pytest.mark.large
def test_parts_of_one_layer_have_one_format(networks):
    model, x = networks.build(networks.GroupedNet)
    found = tvm_vsq.choose_formats(
        model,
        formats=FORMATS[1:],
        max_energy_ratio=0.95,
        quant="4/4/4/4",
        example_inputs=(x,),
        calibration=networks.samples(networks.GroupedNet),
        progress=False,
    )
    assert set(found.formats) == {"expand", "grouped", "project"}


@pytest.mark.parametrize(
    ("formats", "aim", "error", "message"),
    [
        (FORMATS, {}, ConfigError, "give one of target_sqnr_db= and max_energy_ratio="),
        (FORMATS, {"target_sqnr_db": 20, "max_energy_ratio": 0.5}, ConfigError, "give one of"),
        (FORMATS[:1], {"target_sqnr_db": 20}, ConfigError, "at least two different formats"),
        ("4/4/4/4", {"target_sqnr_db": 20}, ConfigError, "at least two different formats"),
        (FORMATS, {"max_energy_ratio": 1.5}, ConfigError, r"outside 0\.\.1"),
        (FORMATS, {"max_energy_ratio": "a"}, ConfigError, "'a'; give a number"),
        (FORMATS, {"target_sqnr_db": float("nan")}, ConfigError, "nan; give a number"),
        (None, {"target_sqnr_db": 20}, ConfigError, "at least two different formats"),
        (("4/4/4/4", "04/4/4/4"), {"target_sqnr_db": 20}, ConfigError, "at least two different formats"),
        (("4/4/4/4", "4/4"), {"target_sqnr_db": 20}, ConfigError, "not understood"),
        (FORMATS, {"max_energy_ratio": 0.1}, QuantizationError, "max_energy_ratio=0.1 cannot be met"),
        (FORMATS, {"target_sqnr_db": 90}, QuantizationError, "target_sqnr_db=90 cannot be met"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(choose, formats, aim, error, message):
    with pytest.raises(error, match=message):
        choose(formats, **aim)


def test_a_profile_without_a_layer_to_choose_for_is_refused(choose):
    rule = tvm_vsq.Rule(layers="*", formats="8/8/6/6")
    config = tvm_vsq.QuantConfig.parse("4/4/4/4", rules=(rule,))
    with pytest.raises(ConfigError, match="no layer for which a format could be chosen"):
        choose(max_energy_ratio=0.9, quant=config)


def test_results_of_zeros_are_nothing_to_compare_with(networks):
    class Nothing(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(16, 4)

        def forward(self, x):
            return torch.relu(self.fc(x) - 1e6)

    model, x = Nothing().eval(), torch.randn(16, 16)
    with pytest.raises(CalibrationError, match="results are 0 on all data"):
        tvm_vsq.profile_formats(
            model, formats=FORMATS, example_inputs=(x,), calibration=x.numpy(), progress=False
        )
