"""Maximum pools and sums in a choice of formats: they follow a layer, and cost what the program takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.seeds import one_of
from torch import nn

import tvm_vsq
from tvm_vsq.errors import QuantizationError

FORMATS = ("4/4/4/4", "8/8/-/-")
TARGETS = {"4/4/4/4": "vsq-accel", "8/8/-/-": "vsq-accel-int8"}


class Net(nn.Module):
    """A pool behind a layer, a sum of two layers' results with a pool behind it, and another sum."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.left = nn.Conv2d(16, 16, 3, padding=1)
        self.right = nn.Conv2d(16, 16, 1)
        self.up = nn.Conv2d(16, 16, 3, padding=1)
        self.down = nn.Conv2d(16, 16, 1)
        self.head = nn.Conv2d(16, 8, 1)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.stem(x)), 2)
        x = nn.functional.max_pool2d(torch.relu(self.left(x)) + torch.relu(self.right(x)), 2)
        return self.head(torch.relu(self.up(x)) + torch.relu(self.down(x)))


FOLLOWED = {"max_pool2d_0": "stem", "add_0": "left", "max_pool2d_1": "left", "add_1": "up"}


@pytest.fixture(scope="module")
def options():
    torch.manual_seed(0)
    x = torch.randn(16, 1, 15, 13)
    return {"model": Net().eval(), "example_inputs": (x[:1],), "calibration": x.numpy()}


def unfitted(*rules, notation=FORMATS[0]):
    return tvm_vsq.QuantConfig.parse(notation, rules=rules).unfitted()


@pytest.fixture(scope="module")
def profiled(options):
    def run(*rules):
        return tvm_vsq.profile_formats(formats=FORMATS, quant=unfitted(*rules), progress=False, **options)

    return run


@pytest.fixture(scope="module")
def profile(profiled):
    return profiled()


@pytest.fixture(scope="module")
def compiled(options):
    """The timing of the network in one format."""

    def run(notation, *rules):
        quant = unfitted(*rules, notation=notation)
        return tvm_vsq.compile(target=TARGETS[notation], quant=quant, **options).timing()

    return run


def reported(options, config):
    """SQNR of the quantized network, and formats by layer."""
    report = tvm_vsq.quantization_report(quant=config, **options)
    return report.output_sqnr_db, {layer.name: layer.formats for layer in report.layers}


def as_reported(formats):
    """Pools and sums are reported with the half of their format that they use."""

    def unweighted(notation):
        _weight, activation, _weight_scale, activation_scale = notation.split("/")
        return f"-/{activation}/-/{activation_scale}"

    return {
        name: unweighted(notation) if name in FOLLOWED else notation for name, notation in formats.items()
    }


def energies(profile, notation):
    return {name: row[notation] for name, row in profile.energy_pj.items()}


@pytest.mark.parametrize("notation", one_of(FORMATS))
def test_energies_and_what_they_leave_out_are_those_of_the_compiled_network(profile, compiled, notation):
    program = compiled(notation)
    assert energies(profile, notation) == {layer.name: layer.energy_pj for layer in program.layers}
    assert set(FOLLOWED) < set(profile.energy_pj)
    assert sum(energies(profile, notation).values()) == pytest.approx(program.energy_pj)
    assert profile.not_counted == program.not_counted


@pytest.mark.parametrize(
    "rule",
    one_of(
        [
            tvm_vsq.Rule(layers="up", settings={"activation_calibration": "mse"}),
            tvm_vsq.Rule(layers="max_pool2d_0", fp32=True),
            tvm_vsq.Rule(layers="right", fp32=True),
        ]
    ),
    ids=["other_calibration", "pool_in_fp32", "layer_in_fp32"],
)
def test_rules_count_in_energy_as_in_the_compiled_network(profile, profiled, compiled, rule):
    ruled, program = profiled(rule), compiled(FORMATS[0], rule)
    assert energies(ruled, FORMATS[0]) == {layer.name: layer.energy_pj for layer in program.layers}
    assert energies(ruled, FORMATS[0]) != energies(profile, FORMATS[0])
    assert ruled.not_counted == program.not_counted


def test_a_budget_is_met_if_the_cheapest_format_keeps_it_in_the_compiled_network(profile, compiled):
    narrow, wide = (compiled(notation).energy_pj for notation in FORMATS)
    mix = profile.choose(max_energy_ratio=narrow / wide + 1e-6)
    assert set(mix.formats.values()) == {FORMATS[0]}
    assert mix.energy_ratio == pytest.approx(narrow / wide)
    with pytest.raises(QuantizationError, match=f"the cheapest of .* takes {narrow / wide:.3f}"):
        profile.choose(max_energy_ratio=narrow / wide - 1e-3)


def test_pools_and_sums_have_the_format_of_the_layer_that_they_read(profile, options):
    mixes = [profile.choose(max_energy_ratio=ratio) for ratio in (0.75, 0.8, 0.85, 0.9, 0.95)]
    for mix in mixes:
        assert {name: mix.formats[leader] for name, leader in FOLLOWED.items()} == {
            name: mix.formats[name] for name in FOLLOWED
        }
        energy = sum(mix.energy_pj[name][notation] for name, notation in mix.formats.items())
        widest = sum(row[FORMATS[1]] for row in mix.energy_pj.values())
        assert mix.energy_ratio == pytest.approx(energy / widest)
    mixed = next(mix for mix in mixes if len({mix.formats[name] for name in FOLLOWED}) == 2)
    sqnr_db, formats = reported(options, mixed.config)
    assert formats == as_reported(mixed.formats)
    assert sqnr_db == pytest.approx(mixed.sqnr_db, abs=0.01)


def test_the_noise_of_a_layer_is_with_the_pools_and_sums_that_follow_it(profile, profiled):
    bare = profiled(*(tvm_vsq.Rule(layers=name, fp32=True) for name in FOLLOWED))
    noise, alone = (
        dict(zip(found.sensitivity.layers, found.sensitivity.noise, strict=True)) for found in (profile, bare)
    )
    assert {name for name in noise if noise[name] != alone[name]} == set(FOLLOWED.values())
    for name in FOLLOWED.values():
        assert np.greater(noise[name], alone[name]).all()


def test_a_rule_for_a_pool_holds_and_a_pool_behind_a_layer_with_a_rule_follows_that_layer(profiled, options):
    ruled = {"stem": "8/8/6/6", "max_pool2d_1": "6/6/4/4", "down": "8/8/6/6"}
    found = profiled(*(tvm_vsq.Rule(layers=name, formats=notation) for name, notation in ruled.items()))
    mix = found.choose(max_energy_ratio=1.0)
    assert not set(ruled) & set(mix.formats)
    assert mix.formats["max_pool2d_0"] == "8/8/6/6"
    assert mix.formats["add_1"] == mix.formats["up"]
    assert reported(options, mix.config)[1] == as_reported({**mix.formats, **ruled})
    assert set(found.energy_pj) == {"left", "right", "add_0", "up", "head"}  # others as if in fp32


class Sum(nn.Module):
    """Of two layers, either of which could add it to its own result."""

    def __init__(self):
        super().__init__()
        self.left = nn.Linear(16, 16)
        self.right = nn.Linear(16, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.left(x) + self.right(x))


@pytest.mark.large
def test_a_sum_of_two_layers_disturbs_with_the_one_that_adds_it():
    torch.manual_seed(0)
    x = torch.randn(64, 16)
    options = {"model": Sum().eval(), "example_inputs": (x[:1],), "calibration": x.numpy(), "progress": False}

    def noise(*in_fp32):
        quant = unfitted(*(tvm_vsq.Rule(layers=name, fp32=True) for name in in_fp32))
        found = tvm_vsq.profile_formats(formats=FORMATS, quant=quant, **options).sensitivity
        return dict(zip(found.layers, found.noise, strict=True))

    both, left, right = noise(), noise("right")["left"], noise("left")["right"]
    assert (both["left"] == left) != (both["right"] == right)
    assert np.less_equal(both["left"], left).all()
    assert np.less_equal(both["right"], right).all()


def test_a_pool_whose_window_fits_the_scratchpad_in_one_format_alone_has_energy_in_both():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 1), nn.MaxPool2d(50), nn.Conv2d(8, 4, 1)).eval()
    x = torch.randn(4, 1, 50, 50)
    profile = tvm_vsq.profile_formats(
        model, formats=("4/4/4/4", "8/8/-/-"), example_inputs=x[:1], calibration=x
    )
    assert set(profile.energy_pj) == {"0", "max_pool2d_0", "2"}
    assert set(profile.energy_pj["max_pool2d_0"]) == {"4/4/4/4", "8/8/-/-"}
