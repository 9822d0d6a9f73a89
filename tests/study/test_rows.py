"""Softmaxes and norms in a choice of formats: they read what they like, and cost what the program does."""

from __future__ import annotations

import pytest
import torch
from tests.seeds import first_of, one_of
from tests.transformers_models import Encoder, batch
from torch import nn

import tvm_vsq

FORMATS = ("4/4/4/4", "8/8/-/-")
TARGETS = {"4/4/4/4": "vsq-accel", "8/8/-/-": "vsq-accel-int8"}


class Rows(nn.Module):
    """A softmax or norm between two layers, of what `made` makes of the first one's result and the input."""

    def __init__(self, made, rows):
        super().__init__()
        self.made, self.rows = made, rows
        self.first, self.last = nn.Linear(32, 32), nn.Linear(32, 32)

    def forward(self, x):
        return self.last(self.rows(self.made(self.first(x), x)))


MADE = {
    "plain": lambda y, x: y,
    "sum": lambda y, x: y + 0.5 * y * x,
    "scaled_view": lambda y, x: 0.5 * y.view(1, 2, 16, 32),
    "input": lambda y, x: x,  # no layer's result at all
}
ROWS = {"softmax": nn.Softmax(-1), "layer_norm": nn.LayerNorm(32)}


def unfitted(notation):
    """With residuals as the profile has them, for the sake of 4 bits."""
    return tvm_vsq.QuantConfig.parse(notation, residuals="wide").unfitted()


def profile_and_programs(options):
    plain = tvm_vsq.QuantConfig.parse(FORMATS[1]).unfitted()
    profile = tvm_vsq.profile_formats(formats=FORMATS, quant=plain, progress=False, **options)
    programs = {
        notation: tvm_vsq.compile(target=TARGETS[notation], quant=unfitted(notation), **options).timing()
        for notation in FORMATS
    }
    return profile, programs


@pytest.mark.parametrize("rows", one_of(ROWS))
@pytest.mark.parametrize("made", first_of(MADE, 1))
def test_what_rows_are_made_of_does_not_matter(made, rows):
    torch.manual_seed(0)
    x = torch.randn(16, 32, 32)
    model = Rows(MADE[made], ROWS[rows]).eval()
    options = {"model": model, "example_inputs": x[:1], "calibration": x.numpy()}
    profile, programs = profile_and_programs(options)
    for notation, program in programs.items():
        found = sum(row[notation] for row in profile.energy_pj.values())
        assert found == pytest.approx(program.energy_pj)
    assert profile.not_counted == programs[FORMATS[-1]].not_counted
    mix = profile.choose(max_energy_ratio=0.95)
    assert mix.formats.keys() <= {"first", "last"}
    assert mix.energy_ratio <= 0.95


@pytest.mark.large
def test_an_encoder_has_the_energy_of_its_program_and_a_mix():
    torch.manual_seed(0)
    given = batch(2, 12)
    options = {
        "model": Encoder().eval(),
        "example_inputs": given,
        "calibration": [batch(2, 12) for _ in range(2)],
    }
    profile, programs = profile_and_programs(options)
    for notation, program in programs.items():
        assert sum(row[notation] for row in profile.energy_pj.values()) == pytest.approx(program.energy_pj)
    assert profile.not_counted == programs[FORMATS[-1]].not_counted
    mix = profile.choose(max_energy_ratio=0.95)
    assert len(set(mix.formats.values())) == 2
    report = tvm_vsq.quantization_report(quant=mix.config, **options)
    assert report.output_sqnr_db == pytest.approx(mix.sqnr_db, abs=0.01)
