"""Activation functions behind layers: what is recognized, how well a table follows it, and whole networks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from tests.seeds import first_of
from torch import nn
from torch.nn import functional as F

import tvm_vsq
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings
from tvm_vsq.hardware import load_hardware
from tvm_vsq.layers.functions import Function, FunctionFinder, recognized
from tvm_vsq.layers.tables import table_of
from tvm_vsq.numerics import look_up

HARDWARE = load_hardware("vsq-accel-w4a8")

SECOND_DERIVATIVE = {
    Function("sigmoid", reach=16.0): 0.0963,
    Function("tanh", reach=8.0): 0.7699,
    Function("silu"): 0.5,
    Function("swish", 1.702): 0.851,
    Function("gelu"): 0.798,
    Function("gelu_tanh"): 0.82,
    Function("mish"): 0.642,
    Function("hard_swish", kink=3.0): 1 / 3,
    Function("hard_sigmoid", 1 / 6, kink=3.0, reach=6.0): 0.0,
    Function("hard_sigmoid", 0.2, kink=2.5, reach=5.0): 0.0,
    Function("hard_sigmoid", 0.3, kink=0.5 / 0.3, reach=1 / 0.3): 0.0,
    Function("leaky_relu", 0.01): 0.0,
    Function("leaky_relu", 0.2): 0.0,
    Function("elu", 1.0): 1.0,
    Function("elu", 0.5): 0.5,
    Function("softplus"): 0.25,
    Function("selu"): 1.7581,
    Function("celu", 2.0): 0.5,
    Function("hard_tanh", 1.0, kink=1.0, reach=2.0): 0.0,
    Function("hard_tanh", 0.75, kink=0.75, reach=1.5): 0.0,
}
"""The largest magnitude between kinks, rounded up."""


def reference(function: Function) -> nn.Module:
    """In float64, by torch."""
    return {
        "sigmoid": nn.Sigmoid(),
        "tanh": nn.Tanh(),
        "silu": nn.SiLU(),
        "swish": lambda x: x * torch.sigmoid(function.parameter * x),
        "gelu": nn.GELU(),
        "gelu_tanh": nn.GELU(approximate="tanh"),
        "mish": nn.Mish(),
        "hard_swish": nn.Hardswish(),
        "hard_sigmoid": lambda x: (function.parameter * x + 0.5).clamp(0, 1),
        "leaky_relu": nn.LeakyReLU(function.parameter),
        "elu": nn.ELU(function.parameter),
        "softplus": nn.Softplus(threshold=1e9),
        "selu": nn.SELU(),
        "celu": nn.CELU(function.parameter or 1.0),
        "hard_tanh": nn.Hardtanh(-function.parameter, function.parameter or 1.0),
    }[function.name]


@pytest.mark.parametrize("absmax", [0.02, 0.9, 3.0, 7.3, 40.0])
@pytest.mark.parametrize("function", list(SECOND_DERIVATIVE), ids=str)
def test_no_argument_is_further_off_than_the_bound(function, absmax):
    """Of all 2^16: a chord is off by h^2 / 8 of the second derivative, and two numbers are rounded."""
    table = table_of(function, absmax, 0.0, HARDWARE)
    arguments = np.arange(-(1 << 15), 1 << 15)
    x = torch.from_numpy(arguments * table.argument)
    expected = reference(function)(x).numpy()
    width = 512 * table.argument
    bound = width**2 / 8 * SECOND_DERIVATIVE[function] + 1.5 * table.value
    assert np.abs(look_up(arguments, table.segments) * table.value - expected).max() <= bound
    assert np.abs(table.segments).max() <= 1 << 21
    reach = min(absmax, function.reach) if function.reach else absmax
    assert reach <= table.argument * (1 << 15) < 2 * max(reach, function.kink)
    # What is beyond has the value at the end, which a function with a reach has for good.
    np.testing.assert_array_equal(
        look_up([-(1 << 31), (1 << 31) - 1], table.segments),
        look_up([-(1 << 15), (1 << 15) - 1], table.segments),
    )
    if function.reach and absmax >= function.reach:
        ends = reference(function)(torch.tensor([-1e3, 1e3], dtype=torch.float64)).numpy()
        found = look_up([-(1 << 20), 1 << 20], table.segments) * table.value
        assert np.abs(found - ends).max() <= 2.0**-14


class HardSwishByHand(nn.Module):
    def forward(self, x):
        return F.relu6(x + 3) * x * (1 / 6)


class SwishByHand(nn.Module):
    def forward(self, x):
        return torch.sigmoid(x) * x


class QuickGelu(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


MODULES = {
    QuickGelu(): "swish 1.702",
    nn.Hardswish(): "hard swish",
    HardSwishByHand(): "hard swish",
    nn.Hardsigmoid(): "hard sigmoid 0.166667",
    nn.SiLU(): "silu",
    SwishByHand(): "silu",
    nn.LeakyReLU(0.1): "leaky relu 0.1",
    nn.Sigmoid(): "sigmoid",
    nn.Tanh(): "tanh",
    nn.GELU(): "gelu",
    nn.GELU(approximate="tanh"): "gelu tanh",
    nn.ELU(0.5): "elu 0.5",
    nn.Mish(): "mish",
    nn.PReLU(): "leaky relu 0.25",
    nn.Softplus(): "softplus",
    nn.SELU(): "selu",
    nn.CELU(2.0): "celu 2",
    nn.Hardtanh(): "hard tanh 1",
    nn.Hardtanh(-0.3, 0.3): "hard tanh 0.3",
}


@pytest.mark.parametrize("module", first_of(list(MODULES), 6), ids=lambda module: type(module).__name__)
def test_functions_are_recognized_however_they_are_written(module):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), module, nn.Conv2d(4, 4, 1)).eval()
    graph = import_model(model, example_inputs=torch.randn(1, 3, 4, 4))["main"]
    finder = FunctionFinder(graph)
    found = [str(applied.function) for binding in bindings(graph) if (applied := finder.of(binding.var))]
    assert found[0] == MODULES[module]  # others are inside, as Mish's tanh


@pytest.mark.parametrize("factor", [0.5, -0.5, 0.7, 1.0])
def test_a_factor_is_no_function(factor):
    """x sigmoid(0 x) would be half of x."""
    assert recognized(lambda x: factor * x) is None


class NoFunction(nn.Module):
    """A bell, a sum, a clip and a scale."""

    def forward(self, x):
        squared = torch.exp(-x * x)
        return (squared + x).clamp(-1, 2) * 1.5


def test_what_is_none_of_them_stays():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), NoFunction(), nn.ReLU6(), nn.Conv2d(4, 4, 1)).eval()
    graph = import_model(model, example_inputs=torch.randn(1, 3, 4, 4))["main"]
    finder = FunctionFinder(graph)
    assert not any(finder.of(binding.var) for binding in bindings(graph))


class Block(nn.Module):
    """Functions behind layers of all kinds, and where none takes them along."""

    def __init__(self, act, gate):
        super().__init__()
        self.act, self.gate = act(), gate()
        self.stem, self.expand = nn.Conv2d(3, 20, 3, 2, 1), nn.Conv2d(20, 40, 1)
        self.depthwise = nn.Conv2d(40, 40, 3, 1, 1, groups=40)
        self.down, self.up, self.project = nn.Conv2d(40, 20, 1), nn.Conv2d(20, 40, 1), nn.Conv2d(40, 20, 1)
        self.head, self.classify = nn.Linear(20, 24), nn.Linear(24, 10)

    def forward(self, x):
        x = self.act(self.stem(x))
        y = self.act(self.depthwise(self.act(self.expand(x))))
        factor = self.gate(self.up(torch.relu(self.down(F.adaptive_avg_pool2d(y, 1)))))
        y = self.act(self.project(self.act(y * factor)) + x)
        y = self.act(F.adaptive_avg_pool2d(y, 1).flatten(1))
        return self.classify(self.act(self.head(y)))


@pytest.mark.parametrize("module", first_of(MODULES, 2), ids=lambda module: type(module).__name__)
def test_fitted_weights_leave_functions_behind_layers_without_a_bias(module):
    """The correction of a bias is none of the numbers that a function adds to its argument."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, bias=False), module, nn.Conv2d(16, 4, 1)]
    model, x = nn.Sequential(*layers).eval(), torch.randn(8, 3, 8, 8)
    exe = tvm_vsq.compile(model, "vsq-accel-int8", example_inputs=x[:1], calibration=x, strict=True)
    found, expected = exe(x[:1].numpy()), model(x[:1]).detach().numpy()
    np.testing.assert_array_equal(found, exe.reference(x[:1].numpy()))
    assert np.square(found - expected).sum() < 1e-3 * np.square(expected).sum()


class Shared(nn.Module):
    """A layer's result that a function is applied to, and another layer reads as it is."""

    def __init__(self):
        super().__init__()
        self.stem, self.a, self.b = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 8, 1), nn.Conv2d(16, 8, 1)

    def forward(self, x):
        y = self.stem(x)
        return self.a(torch.sigmoid(y)) + self.b(y)


def test_a_function_of_what_another_layer_reads_is_a_layer_of_its_own():
    torch.manual_seed(0)
    model, x = Shared().eval(), torch.randn(4, 3, 8, 8)
    exe = tvm_vsq.compile(model, "vsq-accel-int8", example_inputs=x[:1], calibration=x, strict=True)
    rows = {row.layer: row.why for row in exe.explain() if row.where == "accelerator"}
    assert "looks up sigmoid" in rows["sigmoid_0"]
    assert "looks up" not in rows["stem"]
    np.testing.assert_array_equal(exe(x[:1]), exe.reference(x[:1]))


BLOCKS = {"hard": (nn.Hardswish, nn.Hardsigmoid), "smooth": (nn.SiLU, nn.Sigmoid)}


def compiled(kind, target):
    torch.manual_seed(0)
    model, x = Block(*BLOCKS[kind]).eval(), torch.randn(16, 3, 12, 12)
    notation = load_hardware(target).notation
    quant = tvm_vsq.QuantConfig.parse(notation).unfitted()
    options = {"example_inputs": x[:2], "calibration": x, "quant": quant}
    return model, x[:2], options, tvm_vsq.compile(model, target, strict=True, **options)


@pytest.mark.large
@pytest.mark.parametrize(
    ("kind", "target"),
    itertools.product(BLOCKS, ["vsq-accel", "vsq-accel-w4a8", "vsq-accel-int8"]),
)
def test_a_block_is_whole_on_the_chip(kind, target):
    model, x, _, exe = compiled(kind, target)
    rows = {row.layer: row.why for row in exe.explain() if row.where == "accelerator"}
    act, gate = {"hard": ("hard swish", "hard sigmoid 0.166667"), "smooth": ("silu", "sigmoid")}[kind]
    own = f"{act.replace(' ', '_')}_0"  # behind a residual
    looked_up = ("stem", "expand", "depthwise", "multiply_3", own, "avg_pool2d_1", "head")
    assert all(f"looks up {act}," in rows[layer] for layer in looked_up if layer in rows)
    assert f"looks up {gate}," in rows["up"]
    assert "adds a residual" in rows["project"]
    assert own in rows
    np.testing.assert_array_equal(exe(x), exe.reference(x))
    expected = model(x).detach().numpy()
    bound = {"vsq-accel": 0.1, "vsq-accel-w4a8": 0.02, "vsq-accel-int8": 0.02}[target]
    assert np.square(exe(x) - expected).sum() < bound * np.square(expected).sum()


@pytest.mark.large
def test_the_torch_module_computes_the_same_bits():
    model, x, options, exe = compiled("hard", "vsq-accel")
    network = tvm_vsq.fake_quantize(model, quant=options.pop("quant"), **options).eval()
    np.testing.assert_array_equal(network(x).detach().numpy(), exe(x))


def test_a_profile_counts_what_is_looked_up():
    _, x, _, exe = compiled("smooth", "vsq-accel")
    layers = {layer.name: layer for layer in exe.profile(x).layers}
    stem = layers["stem"]
    assert stem.events["table_lane_ops"] == 2 * 36 * 32
    assert stem.events["ppu_lane_ops"] == 2 * 2 * 36 * 32
    assert stem.events["table_fill_bits"] % (128 * 48 * 16) == 0
    assert stem.energy["table_lane_ops"] > 0
    assert layers["project"].events["table_lane_ops"] == 0
    # 20 channels are two blocks; the residual's 20 are read as two vectors of 16.
    assert layers["project"].events["residual_lane_ops"] == 2 * 36 * 32
    assert stem.events["residual_lane_ops"] == 0
    assert layers["project"].energy["residual_lane_ops"] > 0
    assert "VEC op=table src=imm" in exe.disassemble()
