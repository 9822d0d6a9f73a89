"""Totals say beside them what they leave out (the CPU), and what of them is padding."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import tvm_vsq
from tvm_vsq.cli import app
from tvm_vsq.quantize.config import Rule


def compiled(model, shape, hardware="vsq-accel", left=None, **settings):
    hardware = tvm_vsq.load_hardware(hardware)
    config = tvm_vsq.QuantConfig.of_hardware(hardware).unfitted().model_copy(update=settings)
    if left is not None:
        config = config.model_copy(update={"rules": (Rule(layers=left, fp32=True),)})
    samples = torch.randn(8, *shape)
    return tvm_vsq.compile(
        model.eval(), hardware, example_inputs=samples[:1], calibration=samples, quant=config
    )


class Mixed(nn.Module):
    """A pointwise convolution on the accelerator; one that a rule leaves in fp32, a pool and a product of
    activations.
    """

    def __init__(self):
        super().__init__()
        self.point = nn.Conv2d(3, 12, 1)
        self.grouped = nn.Conv2d(12, 12, 3, padding=1, groups=4, bias=False)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        y = self.pool(self.grouped(self.point(x))).flatten(2)  # [1, 12, 16]
        return torch.softmax(y @ y.transpose(1, 2), -1)


MACS = {"accelerator": 64 * 3 * 12, "conv2d": 64 * 12 * 3 * 9, "matmul": 12 * 12 * 16}


@pytest.fixture(scope="module")
def mixed():
    torch.manual_seed(0)
    return compiled(Mixed(), (3, 8, 8), left="grouped")


def test_operators_on_the_cpu_are_counted_apart(mixed):
    profile = mixed.timing()
    found = profile.not_counted
    by_kind = {kind.op: kind for kind in found.operators}
    assert (by_kind["nn.conv2d"].count, by_kind["nn.conv2d"].macs) == (1, MACS["conv2d"])
    assert (by_kind["matmul"].count, by_kind["matmul"].macs) == (1, MACS["matmul"])
    assert by_kind["nn.max_pool2d"].operations == 12 * 16 * 4
    assert by_kind["nn.softmax"].operations == 12 * 12
    assert by_kind["nn.conv2d"].bytes == 4 * (768 + 324 + 768)
    assert found.macs == MACS["conv2d"] + MACS["matmul"]
    assert profile.macs == MACS["accelerator"]
    assert found.macs_share == pytest.approx(found.macs / sum(MACS.values()))
    on_cpu = [row for row in mixed.explain() if row.where == "cpu"]
    assert sum(kind.count for kind in found.operators) == len(on_cpu)
    assert found.bytes == sum(row.work.bytes for row in on_cpu)
    assert all(row.work is None for row in mixed.explain() if row.where == "accelerator")


def test_everything_that_prints_totals_says_so(mixed, tmp_path):
    profile = mixed.timing()
    share = 100 * profile.not_counted.macs / sum(MACS.values())
    sentence = (
        f"not counted: 1 conv2d, 1 matmul, .* on the CPU, 23,040 MACs \\({share:.1f}% of all\\), .* bytes"
    )
    profile.to_html(tmp_path / "p.html")
    mixed.save(tmp_path / "net.so")
    shown = CliRunner().invoke(app, ["profile", str(tmp_path / "net.so"), "--why"]).stdout
    for text in (str(profile), str(profile.why()), (tmp_path / "p.html").read_text(), shown):
        assert re.search(sentence, " ".join(text.split()), re.IGNORECASE)


def test_a_loaded_artifact_says_it_too(mixed, tmp_path):
    mixed.save(tmp_path / "net.so")
    loaded = tvm_vsq.load(tmp_path / "net.so").timing()
    assert loaded.not_counted == mixed.timing().not_counted
    shown = CliRunner().invoke(app, ["profile", str(tmp_path / "net.so"), "--json"]).stdout
    data = json.loads(shown)["not_counted"]
    assert data == json.loads(mixed.timing().to_json())["not_counted"]
    assert data["macs"] == sum(kind["macs"] for kind in data["operators"]) == 23040
    rows = json.loads(CliRunner().invoke(app, ["explain", str(tmp_path / "net.so"), "--json"]).stdout)
    assert sum(row["work"]["bytes"] for row in rows if row["work"]) == data["bytes"]


@pytest.mark.large
def test_the_energy_of_a_mix_says_it_too():
    torch.manual_seed(0)
    found = tvm_vsq.choose_formats(
        Mixed().eval(),
        formats=("4/4/4/4", "8/8/-/-"),
        max_energy_ratio=1.0,
        example_inputs=(torch.randn(1, 3, 8, 8),),
        calibration=torch.randn(8, 3, 8, 8),
        progress=False,
    )
    assert found.not_counted.macs == MACS["matmul"]
    assert "not counted: 1 matmul" in str(found)
    assert json.loads(found.to_json())["not_counted"]["macs"] == found.not_counted.macs


class Convolutions(nn.Module):
    """As in ResNet-8: an image of one channel, then 16 and 32 channels."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 16, 3, padding=1)
        self.third = nn.Conv2d(16, 32, 3, padding=1)

    def forward(self, x):
        return self.third(torch.relu(self.second(torch.relu(self.first(x)))))


@pytest.fixture(scope="module")
def by_vector_size():
    torch.manual_seed(0)
    wide = tvm_vsq.load_hardware("vsq-accel").with_formats("4/4/4/4", vector_size=32)
    return {
        16: compiled(Convolutions(), (1, 6, 6), thin_inputs="model").timing(),
        32: compiled(Convolutions(), (1, 6, 6), wide, thin_inputs="model").timing(),
    }


def test_padding_is_shown_by_layer_and_side(by_vector_size):
    """At V = 32 on 16 lanes, 16 channels fill half of each vector, and one of two output blocks."""
    first, second, third = by_vector_size[16].layers
    assert [layer.shape for layer in (first, second, third)] == [
        "6x6x1(16) > 6x6x16 3x3",
        "6x6x16 > 6x6x16 3x3",
        "6x6x16 > 6x6x32 3x3",
    ]
    assert [layer.padding for layer in (first, second, third)] == [15 / 16, 0, 0]
    first, second, third = by_vector_size[32].layers
    assert [layer.shape for layer in (first, second, third)] == [
        "6x6x1(32) > 6x6x16 3x3",
        "6x6x16(32) > 6x6x16 3x3",
        "6x6x16(32) > 6x6x32 3x3",
    ]
    assert [layer.padding for layer in (first, second, third)] == [31 / 32, 1 / 2, 1 / 2]
    assert (second.channels, second.padded_channels) == ((16, 16), (32, 16))
    cycles = [p.layers[1].padded_macs / p.hardware.macs_per_cycle for p in by_vector_size.values()]
    assert cycles[1] == cycles[0]  # of the array, twice as wide: a block of zeros is not computed
    for profile in by_vector_size.values():
        for layer in profile.layers:
            inputs, outputs = layer.padded_channels
            assert layer.padded_macs == 36 * 9 * inputs * outputs
            assert layer.macs == 36 * 9 * layer.channels[0] * layer.channels[1]


def test_outputs_that_fill_no_block_are_marked():
    (layer,) = compiled(nn.Conv2d(16, 20, 1), (16, 6, 6)).timing().layers
    assert layer.shape == "6x6x16 > 6x6x20(32) 1x1"
    assert (layer.channels, layer.padded_channels, layer.padding) == ((16, 20), (16, 32), 12 / 32)


def test_the_whole_profile_says_what_padding_costs(by_vector_size, tmp_path):
    macs = 36 * 9 * (16 + 16 * 16 + 16 * 32)
    padded = 36 * 9 * (16 * 16 + 16 * 16 + 16 * 32), 36 * 9 * (32 * 16 + 32 * 16 + 32 * 32)
    for profile, all_macs in zip(by_vector_size.values(), padded, strict=True):
        assert (profile.macs, profile.padded_macs) == (macs, all_macs)
        assert profile.padding == pytest.approx(1 - macs / all_macs)
        assert json.loads(profile.to_json())["padding"] == profile.padding
    narrow, wide = (" ".join(str(p.why()).split()) for p in by_vector_size.values())
    assert "padding: 303 of the array's 1,296 cycles (23.4%)" in narrow
    assert "'first' 303 (input 1 -> 16)" in narrow
    assert "padding: 799 of the array's 1,296 cycles (61.7%)" in wide
    assert "'second' 162 (input 16 -> 32)" in wide
    assert "96.9%" in str(by_vector_size[32])


def test_a_dead_channel_is_no_padding():
    torch.manual_seed(0)
    model = nn.Conv2d(16, 16, 1)
    with torch.no_grad():
        model.weight[:, 12:] = 0
    profile = compiled(model, (16, 4, 4)).timing()
    assert profile.layers[0].shape == "4x4x16 > 4x4x16 1x1"
    assert profile.padding == 0
    assert "padding: none" in str(profile)


def test_more_work_than_its_own_cycles_allow_is_explained(mixed):
    profile = mixed.timing()
    assert not any("above 100%" in note for note in profile.notes)
    (layer,) = profile.layers
    early = replace(profile, layers=(replace(layer, utilization=1.02),))
    assert f"above 100%, as '{layer.name}'" in str(early)
