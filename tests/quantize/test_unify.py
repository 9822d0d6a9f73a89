"""A tensor that layers read in several formats has the widest, where the array makes passes over digits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import tvm_vsq
from tvm_vsq.errors import ConfigError
from tvm_vsq.frontend import import_model
from tvm_vsq.hardware import load_hardware
from tvm_vsq.quantize.plan import make_plan
from tvm_vsq.quantize.unify import readers_together, unified

PASSES = load_hardware("vsq-accel").model_copy(update={"precision_passes": 2})
ROUNDING = load_hardware("vsq-accel-w4a8").model_copy(update={"precision_passes": 2})


class Network(nn.Module):
    """A tensor that two layers read, and that is added to what a third one makes."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Linear(32, 32) for _ in range(4))

    def forward(self, x):
        y = torch.relu(self.a(x))
        return self.d(torch.relu(self.b(y))) + y, self.c(y)


class Pooled(nn.Module):
    """A tensor that a layer with weights and one without read."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(16, 16, 1) for _ in range(3))

    def forward(self, x):
        y = torch.relu(self.a(x))
        return self.c(nn.functional.max_pool2d(y, 2)), self.b(y)


def planned(hardware, network=Network, shape=(4, 32), base="4/4/4/4", **formats):
    torch.manual_seed(0)
    rules = [tvm_vsq.Rule(layers=name, formats=text) for name, text in formats.items()]
    config = tvm_vsq.QuantConfig.parse(base, rules=rules).unfitted()
    module = import_model(network().eval(), (torch.randn(shape),))
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


def test_readers_of_one_tensor_are_together_where_mixes_run_and_products_of_scales_are_rounded():
    one = load_hardware("vsq-accel-w4a8")
    plan = planned(ROUNDING, base="4/8/6/10")
    assert sorted(map(sorted, readers_together(plan, ROUNDING))) == [["a"], ["b", "c"], ["d"]]
    assert readers_together(planned(PASSES), PASSES) == []
    assert one.product_shift
    assert readers_together(planned(one, base="4/8/6/10"), one) == []


@pytest.mark.parametrize("name", "bc")
def test_scales_that_only_one_reader_has_are_refused_where_their_products_are_rounded(name):
    plan = planned(ROUNDING, base="4/8/6/10", **{name: "8/8/-/-"})
    other = {"b": "c", "c": "b"}[name]
    with pytest.raises(
        ConfigError,
        match=rf"layers '{name}' \(8/8/-/-\) and '{other}' \(4/8/6/10\) read one tensor.*"
        r"rounds products of scales to 8 bits.*with vector scales \(4/8/6/10\), or both formats without",
    ):
        unified(plan, ROUNDING)


def test_scales_of_what_is_added_are_not_refused():
    plan = unified(planned(ROUNDING, base="4/8/6/10", d="8/8/-/-"), ROUNDING)
    assert widths(plan)["d", "residual"] == (8, 10)
    assert widths(plan)["d", "x"] == (8, None)


def test_layers_without_products_of_scales_take_those_that_others_want():
    def pooled(**formats):
        return unified(planned(ROUNDING, Pooled, (1, 16, 4, 4), "4/8/6/10", **formats), ROUNDING)

    assert widths(pooled(**{"max_pool2d*": "8/8/-/-"}))["max_pool2d_0", "x"] == (8, 10)
    with pytest.raises(ConfigError, match=r"layers 'b' \(8/8/-/-\) and 'max_pool2d_0' \(4/8/6/10\)"):
        pooled(b="8/8/-/-")
