"""Figures of a profile against those worked out by hand."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import tvm_vsq
from tvm_vsq.isa import UNITS

CLOCK_MHZ = 250
MACS_PER_CYCLE = 16 * 16


@pytest.fixture(scope="module")
def profile():
    """Of 36 pixels with 3 channels, through 16 channels to 5, at V = 16 and 16 lanes."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 5, 1))
    hardware = tvm_vsq.load_hardware("vsq-accel").model_copy(update={"clock_mhz": CLOCK_MHZ})
    x = torch.randn(1, 3, 6, 6)
    config = tvm_vsq.QuantConfig.of_hardware(hardware).unfitted()
    return tvm_vsq.compile(network, hardware, example_inputs=(x,), calibration=x, quant=config).timing()


def test_useful_macs_exclude_padded_channels(profile):
    # Three columns of 3 channels share a vector, so a kernel of 3 rows is left.
    useful = {"0": 36 * 9 * 3 * 16, "2": 36 * 16 * 5}
    assert {layer.name: layer.macs for layer in profile.layers} == useful
    assert [layer.padded_macs for layer in profile.layers] == [36 * 3 * 16 * 16, 36 * 16 * 16]
    assert profile.macs == sum(useful.values())


def test_utilization_is_of_useful_macs(profile):
    for layer in profile.layers:
        assert layer.utilization == pytest.approx(layer.macs / layer.cycles / MACS_PER_CYCLE)
        assert layer.roofline.attained == pytest.approx(layer.padded_macs / layer.cycles)
    assert profile.utilization == pytest.approx(profile.macs / profile.cycles / MACS_PER_CYCLE)
    assert profile.utilization < 3 / 16


def test_milliseconds_are_those_of_the_clock(profile):
    assert profile.milliseconds == pytest.approx(profile.cycles / CLOCK_MHZ / 1000)


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_works_stalls_waits_for_an_instruction_or_has_finished(profile, unit):
    idle = sum(
        stall.cycles
        for layer in profile.layers
        for stall in layer.stalls
        if stall.unit == unit and stall.waits_for in ("instruction", "finished")
    )
    assert profile.engine_stalled[unit] == profile.cycles - profile.engine_busy[unit] - idle
    assert (profile.engine_stalled[unit] > 0) == (profile.engine_busy[unit] > 0)


def test_the_json_says_the_same(profile):
    data = json.loads(profile.to_json())
    for key in ("cycles", "milliseconds", "macs", "utilization", "dram_bytes", "energy_pj"):
        assert data[key] == getattr(profile, key)
    assert data["engine_stalled_cycles"] == profile.engine_stalled
    assert data["engine_busy_cycles"] == profile.engine_busy
    assert [layer["utilization"] for layer in data["layers"]] == [
        layer.utilization for layer in profile.layers
    ]
