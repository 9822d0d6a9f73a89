"""Pixels of thin inputs share vectors, and the network stays the same function."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.seeds import first_of
from torch import nn

import tvm_vsq
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import definitions, static_shape
from tvm_vsq.network import layer_names
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.quantize.pack import pack_inputs

CONFIG = QuantConfig.parse("4/4/4/4").unfitted()


def packed(model, shape, config=CONFIG):
    """The module before and after, and by layer the shapes of its input and its kernel."""
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    module = import_model(model.eval(), (x,))
    other = pack_inputs(module, config)
    values = definitions(other["main"])
    shapes = {
        name: tuple(static_shape(operand) for operand in values[var].args[:2])
        for var, name in layer_names(other).items()
    }
    return module, other, shapes, x


@pytest.mark.parametrize(
    ("convolution", "size", "given", "kernel"),
    first_of(
        [
            # a window of one channel is one vector: no more than a pixel took
            (nn.Conv2d(1, 8, 3, padding=1), (9, 7), (1, 9, 7, 9), (8, 1, 1, 9)),
            # 27 elements are two vectors, three columns are one
            (nn.Conv2d(3, 8, 3, padding=1), (9, 7), (1, 9, 7, 9), (8, 3, 1, 9)),
            # ResNet's first: two vectors for every other column
            (nn.Conv2d(3, 8, 7, 2, 3), (12, 10), (1, 12, 5, 21), (8, 7, 1, 21)),
            # strides leave room for the whole window: 12 of 48 pixels, 4 vectors each
            (nn.Conv2d(3, 8, 4, 4), (8, 24), (1, 2, 6, 48), (8, 1, 1, 48)),
            (nn.Conv2d(2, 8, (5, 3), (1, 2), (4, 1), (2, 1)), (9, 8), (1, 9, 4, 30), (8, 1, 1, 30)),
            (nn.Conv2d(2, 8, (2, 3), dilation=(3, 2)), (9, 8), (1, 6, 4, 12), (8, 1, 1, 12)),
            # an odd row takes one vector more
            (nn.Conv2d(3, 8, 7, 2, 3), (9, 41), (1, 9, 21, 21), (8, 7, 1, 21)),
            # a window of many pixels would be as many slices
            (nn.Conv2d(1, 8, (1, 65), (1, 65)), (1, 650), (1, 1, 650, 1), (8, 1, 65, 1)),
            # all columns would take more vectors, or be as many slices; some of them take fewer
            (nn.Conv2d(1, 8, (1, 80), (1, 4)), (1, 880), (1, 1, 217, 16), (8, 1, 5, 16)),
            (nn.Conv2d(1, 8, (1, 80), (1, 16)), (1, 880), (1, 1, 55, 16), (8, 1, 5, 16)),
            (nn.Conv2d(1, 8, (1, 80), (1, 4), dilation=(1, 2)), (1, 880), (1, 1, 213, 16), (8, 1, 5, 16)),
            # a tap of zeros fills the kernel up
            (nn.Conv2d(3, 8, 7, padding=3), (9, 101), (1, 9, 105, 12), (8, 7, 2, 12)),
            # nothing to gain
            (nn.Conv2d(3, 8, 1), (9, 7), (1, 9, 7, 3), (8, 1, 1, 3)),
            (nn.Conv2d(16, 8, 3), (9, 7), (1, 9, 7, 16), (8, 3, 3, 16)),
        ],
        7,
    ),
)
def test_the_way_with_the_fewest_products_that_takes_no_more_vectors(convolution, size, given, kernel):
    module, other, shapes, _ = packed(
        nn.Sequential(convolution, nn.ReLU()), (1, convolution.in_channels, *size)
    )
    assert shapes == {"0": (given, kernel)}
    assert (other is module) == (kernel[1:] == (*convolution.kernel_size, convolution.in_channels))


@pytest.mark.parametrize("seed", first_of(range(12), 2))
def test_the_network_computes_the_same(networks, seed):
    rng = np.random.default_rng(seed)
    r, s = (int(n) for n in rng.integers(1, 6, 2))
    channels, dilation = int(rng.integers(1, 6)), tuple(int(n) for n in rng.integers(1, 3, 2))
    convolution = nn.Conv2d(
        channels,
        5,
        (r, s),
        stride=tuple(int(n) for n in rng.integers(1, 4, 2)),
        padding=tuple(int(n) for n in rng.integers(0, 3, 2)),
        dilation=dilation,
    )
    h, w = (int(n) + d * k for n, d, k in zip(rng.integers(1, 9, 2), dilation, (r, s), strict=True))
    model = nn.Sequential(convolution, nn.ReLU(), nn.Conv2d(5, 4, 1))
    module, other, _, x = packed(model, (int(rng.integers(1, 3)), channels, h, w))
    (expected,), (found,) = (networks.run_tvm(m, x) for m in (module, other))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    "convolution",
    first_of(
        [
            nn.Conv1d(1, 5, 80, 4),
            nn.Conv1d(1, 5, 70, 4, padding=9),
            nn.Conv1d(2, 5, 33, 3, padding=5, dilation=2),
            nn.Conv1d(1, 5, 66, 5, dilation=4),
        ],
        2,
    ),
)
def test_some_columns_at_a_time_compute_the_same(networks, convolution):
    module, other, shapes, x = packed(nn.Sequential(convolution), (2, convolution.in_channels, 541))
    _, (_, _, taps, channels) = shapes["0"]
    assert taps > 1
    assert channels > convolution.in_channels
    (expected,), (found,) = (networks.run_tvm(m, x) for m in (module, other))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


class Two(nn.Module):
    """A thin input that two convolutions and a sum read, and one that is thin but made on the chip."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(1, 2, 5, padding=2)
        self.c = nn.Conv2d(2, 3, 3)

    def forward(self, x):
        return self.c(torch.relu(self.a(x) + self.b(x) + x))


def test_only_what_the_host_gives_is_packed():
    _, _, shapes, _ = packed(Two(), (1, 1, 8, 8))
    kernels = {name: kernel[1:] for name, (_, kernel) in shapes.items() if name in "abc"}
    assert kernels == {"a": (1, 1, 9), "b": (5, 1, 5), "c": (3, 3, 2)}


def test_rules_and_the_config_leave_layers_as_they_are():
    rule = tvm_vsq.Rule(layers="a", fp32=True)
    _, _, shapes, _ = packed(Two(), (1, 1, 8, 8), CONFIG.model_copy(update={"rules": (rule,)}))
    assert (shapes["a"][1], shapes["b"][1]) == ((2, 3, 3, 1), (2, 5, 1, 5))
    assert QuantConfig.parse("4/4/4/4").packs_inputs
    assert not QuantConfig.parse("4/4/4/4", thin_inputs="model").packs_inputs


@pytest.mark.large
def test_the_accelerator_and_torch_compute_the_packed_integers():
    torch.manual_seed(0)
    model, x = Two().eval(), torch.randn(6, 1, 8, 8)
    options = {"quant": CONFIG, "example_inputs": x[:1], "calibration": x}
    exe = tvm_vsq.compile(model, **options)
    np.testing.assert_array_equal(exe(x[:1]), exe.reference(x[:1]))
    quant = options.pop("quant")
    network = tvm_vsq.fake_quantize(model, quant=quant, **options).eval()
    np.testing.assert_array_equal(network(x[:1]).detach().numpy(), exe(x[:1]))
    plain = tvm_vsq.compile(model, quant=CONFIG.model_copy(update={"thin_inputs": "model"}), **options)
    assert exe.timing().cycles < plain.timing().cycles
    expected = model(x[:1]).detach().numpy()
    noise = [np.square(each(x[:1]).numpy() - expected).sum() for each in (exe, plain)]
    assert noise[0] < 0.1 * np.square(expected).sum()
