"""A tensor that layers read in several formats has the widest, where the array makes passes over digits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import tvm_vsq
from tvm_vsq.frontend import import_model
from tvm_vsq.hardware import load_hardware
from tvm_vsq.quantize.plan import make_plan
from tvm_vsq.quantize.unify import unified

PASSES = load_hardware("vsq-accel").model_copy(update={"precision_passes": 2})


class Network(nn.Module):
    """A tensor that two layers read, and that is added to what a third one makes."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Linear(32, 32) for _ in range(4))

    def forward(self, x):
        y = torch.relu(self.a(x))
        return self.d(torch.relu(self.b(y))) + y, self.c(y)


def planned(hardware, **formats):
    torch.manual_seed(0)
    rules = [tvm_vsq.Rule(layers=name, formats=text) for name, text in formats.items()]
    config = tvm_vsq.QuantConfig.parse("4/4/4/4", rules=rules).unfitted()
    module = import_model(Network().eval(), (torch.randn(4, 32),))
    return make_plan(module, config, hardware)


def widths(plan):
    """(bits, scale bits) by layer and role."""
    return {
        (layer.name, role): (reading.settings.bits, reading.settings.scale_bits)
        for layer in plan.layers
        for role, reading in layer.roles.items()
    }


def test_all_readers_take_the_most_bits_and_the_widest_scales():
    plan = unified(planned(PASSES, c="8/8/-/-"), PASSES)
    found = widths(plan)
    assert found == {
        ("a", "x"): (4, 4),
        ("b", "x"): (8, 4),
        ("c", "x"): (8, 4),
        ("d", "x"): (4, 4),
        ("d", "residual"): (8, 4),
    }
    formats = {layer.name: layer.formats.activation for layer in plan.layers}
    assert {name: (fmt.bits, fmt.scale_bits) for name, fmt in formats.items()} == {
        name: found[name, "x"] for name in "abcd"
    }
    weights = {layer.name: layer.formats.weight.bits for layer in plan.layers}
    assert weights == {"a": 4, "b": 4, "c": 8, "d": 4}
    assert len({reading.tensor for reading in plan.readings}) == len(plan.readings)


@pytest.mark.parametrize("formats", ["8/8/-/-", "4/3/4/4"])
def test_what_is_added_is_read_as_layers_read_it(formats):
    plan = unified(planned(PASSES, d=formats), PASSES)
    found = widths(plan)
    assert found["d", "residual"] == found["b", "x"] == found["c", "x"] == (4, 4)
    assert found["d", "x"][0] == int(formats[2])


def test_formats_stay_apart_where_only_one_can_be_read():
    one = load_hardware("vsq-accel")
    plan = planned(one, c="8/8/-/-")
    assert unified(plan, one) is plan
    assert widths(plan)["b", "x"] == (4, 4)
