"""What results depend on: points with equal keys are equal."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
import tvm
from torch import nn

from tvm_vsq.explore.identity import function_digest
from tvm_vsq.explore.keys import NUMERIC, has_rows, numbers_key, point_key, programs_key
from tvm_vsq.hardware import load_hardware
from tvm_vsq.hardware.changes import flat
from tvm_vsq.hardware.timed import TIMED
from tvm_vsq.importing import import_checked
from tvm_vsq.pipeline import build_executable, quantize_phases, run_phases
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.schedule import Database

HARDWARE = load_hardware("vsq-accel-w4a8")
CONFIG = QuantConfig.of(None, HARDWARE)
FIELDS = flat(HARDWARE.model_dump())
ROW = np.arange(200)
OTHERS = {
    "name": "other",
    "technology": "open-45nm",
    "output_lanes": 32,
    "scale_product_bits": 9,
    **{name: value * 2 for name, value in FIELDS.items() if name.startswith(("dram.", "scratchpads."))},
    **{name: value + 1 for name, value in FIELDS.items() if name.startswith("timing.")},
    "clock_mhz": 900,
    "accumulator_bits": 40,
    "guard_bits": 2,
    "multiplier_bits": 12,
    "window_taps": 8,
    "precision_passes": 2,
}
"""Another value for each field, but those that decide the formats."""


class Rows(nn.Module):
    """A softmax in front of a layer."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(20, 48), nn.Linear(48, 20)

    def forward(self, x):
        return self.second(torch.softmax(self.first(x), -1))


@pytest.fixture(scope="module")
def quantized():
    """What the network becomes on an accelerator, as text; with or without rows."""
    data = np.random.default_rng(0).standard_normal((16, 20)).astype(np.float32)
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(20, 48), nn.ReLU(), nn.Linear(48, 20))
    modules = {
        rows: import_checked(model.eval(), (torch.zeros(1, 20),))
        for rows, model in ((False, plain), (True, Rows()))
    }
    assert {rows: has_rows(module) for rows, module in modules.items()} == {False: False, True: True}

    def quantize(hardware, rows):
        return run_phases(modules[rows], quantize_phases(CONFIG, hardware, data))

    return quantize


def test_every_field_has_another_value():
    formats = {"vector_size", "weight_bits", "activation_bits", "weight_scale_bits", "activation_scale_bits"}
    assert set(OTHERS) | formats == set(FIELDS)
    assert set(NUMERIC) - formats <= set(OTHERS)


def test_integers_do_not_depend_on_what_is_not_in_their_key(quantized):
    names = [name for name in OTHERS if name not in NUMERIC]
    for rows, tried in ((False, ["output_lanes"]), (True, names)):
        base = tvm.ir.save_json(quantized(HARDWARE, rows))
        for name in tried:
            other = HARDWARE.with_(**{name: OTHERS[name]})
            if numbers_key(CONFIG, other, rows) == numbers_key(CONFIG, HARDWARE, rows):
                assert tvm.ir.save_json(quantized(other, rows)) == base, name
    assert len(names) > 30


@pytest.mark.parametrize(
    "name",
    [
        "scale_product_bits",
        "accumulator_bits",
        "guard_bits",
        "multiplier_bits",
        "window_taps",
        "precision_passes",
        "output_lanes",
    ],
)
def test_what_integers_may_depend_on_is_in_their_key(name):
    other = HARDWARE.with_(**{name: OTHERS[name]})
    assert numbers_key(CONFIG, other, True) != numbers_key(CONFIG, HARDWARE, True)
    lanes_count = numbers_key(CONFIG, other, False) != numbers_key(CONFIG, HARDWARE, False)
    assert lanes_count == (name != "output_lanes")


def test_lanes_within_a_vector_are_no_difference():
    fewer = HARDWARE.with_(output_lanes=8)
    assert numbers_key(CONFIG, fewer, True) == numbers_key(CONFIG, HARDWARE, True)


def test_cycles_depend_on_what_is_timed_and_the_rest_counts_for_the_point():
    def keys(hardware):
        programs = programs_key("n", hardware, "s")
        return programs, point_key(programs, hardware, None)

    programs, point = keys(HARDWARE)
    for name, value in OTHERS.items():
        other_programs, other_point = keys(HARDWARE.with_(**{name: value}))
        assert (other_programs != programs) == (name in TIMED), name
        assert (other_point != point) == (name != "name"), name
    assert point_key(programs, HARDWARE, {"name": "other"}) != point


def test_machines_with_equal_integers_compute_the_same(quantized):
    module = quantized(HARDWARE, False)
    x = np.random.default_rng(1).standard_normal((8, 20)).astype(np.float32)
    changes = (
        {},
        {"output_lanes": 8},
        {"output_lanes": 32},
        {"scratchpads.wgt_kib": 8, "dram.bytes_per_cycle": 4},
    )
    machines = [HARDWARE.with_(**each) for each in changes]
    assert len({numbers_key(CONFIG, machine, False) for machine in machines}) == 1
    first, *others = [build_executable(module, machine, Database()).run_batch(x) for machine in machines]
    for other in others:
        np.testing.assert_array_equal(other, first)


LIMIT = 100


def limited(network):
    return network.cycles < LIMIT


class Top:
    """A function that holds a number and an array."""

    def __init__(self, k, data):
        self.k, self.data = k, data

    def __call__(self, network):
        return network(self.data).topk(self.k)


def made(text, data):
    names = {"np": np, "data": data}
    exec(text, names)
    return names["evaluate"]


def closure(value, default=0.5):
    def evaluate(network, least=default):
        return network.accuracy > value + least

    return evaluate


PLAIN = "def evaluate(network): return network(data[:100]).mean()"


@pytest.mark.parametrize(
    "others",
    [
        lambda: [
            made(PLAIN, ROW),
            made(PLAIN.replace("100", "90"), ROW),
            made(PLAIN.replace("mean", "max"), ROW),
        ],
        lambda: [made(PLAIN, ROW), made(PLAIN, ROW + 1), made("def evaluate(n): return 1", ROW)],
        lambda: [closure(1), closure(2), closure(1, 0.25), closure(np.arange(3)), closure(torch.arange(3))],
        lambda: [Top(1, ROW), Top(5, ROW), Top(1, ROW[:5]), Top(1, {"a": ROW}), Top(1, {"b": ROW})],
        lambda: [made(f"def evaluate(n): return [{x} for _ in n]", ROW) for x in ("1", "2", "1.0", "'1'")],
        lambda: [limited, Top(1, ROW).__call__, len, None],
    ],
)
def test_functions_are_known_by_their_code_and_what_they_hold(others):
    assert len(set(map(function_digest, others()))) == len(others())
    assert list(map(function_digest, others())) == list(map(function_digest, others()))


def test_a_function_is_known_by_the_globals_that_it_names(monkeypatch):
    before = function_digest(limited)
    monkeypatch.setattr(sys.modules[__name__], "LIMIT", 200)
    assert function_digest(limited) != before


def test_a_function_may_say_what_it_is():
    class Own:
        digest = "mine"

    class Same(Own):
        held = object()

    assert function_digest(Own()) == function_digest(Own())
    assert function_digest(None) == ""
