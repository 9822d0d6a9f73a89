"""The shapes with which VTA's own tests accept an accelerator, compiled and run bit by bit.

Convolutions of ResNet-18, grouped ones of MobileNet's widths, and DCGAN's transposed ones are those of
vta/tests/python/integration/test_benchmark_topi_{conv2d,group_conv2d,conv2d_transpose}.py; what its
test_vta_insn.py asks of single instructions follows below. The rest of that file (shifts, min, max, add and
mul with and without immediates, on every lane) is tests/cpp/test_vec.cc, at the level of instructions.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.seeds import first_of
from torch import nn
from torch.nn import functional as F

import tvm_vsq
from tvm_vsq import QuantConfig
from tvm_vsq.hardware import load_hardware

TARGETS = ("vsq-accel", "vsq-accel-int8")
QUICK = {
    ("resnet-18.C11", "vsq-accel"),
}

CONVOLUTIONS = {  # rows and columns, channels in and out, kernel, padding, stride
    "resnet-18.C2": (56, 64, 64, 3, 1, 1),
    "resnet-18.C3": (56, 64, 128, 3, 1, 2),
    "resnet-18.C4": (56, 64, 128, 1, 0, 2),
    "resnet-18.C5": (28, 128, 128, 3, 1, 1),
    "resnet-18.C6": (28, 128, 256, 3, 1, 2),
    "resnet-18.C7": (28, 128, 256, 1, 0, 2),
    "resnet-18.C8": (14, 256, 256, 3, 1, 1),
    "resnet-18.C9": (14, 256, 512, 3, 1, 2),
    "resnet-18.C10": (14, 256, 512, 1, 0, 2),
    "resnet-18.C11": (7, 512, 512, 3, 1, 1),
}
GROUPED = {  # rows and columns, channels, groups, stride
    "mobilenet.D1": (112, 32, 2, 1),
    "mobilenet.D2": (112, 64, 4, 2),
    "mobilenet.D3": (56, 128, 8, 1),
    "mobilenet.D4": (56, 128, 8, 2),
    "mobilenet.D5": (28, 256, 16, 1),
    "mobilenet.D6": (28, 256, 16, 2),
    "mobilenet.D7": (14, 512, 32, 1),
    "mobilenet.D8": (14, 512, 32, 2),
    "mobilenet.D9": (7, 1024, 64, 1),
}
TRANSPOSED = {  # rows and columns, channels in and out
    "DCGAN.CT1": (4, 1024, 512),
    "DCGAN.CT2": (8, 512, 256),
    "DCGAN.CT3": (16, 256, 128),
}


def cases(table):
    return [
        pytest.param(
            name, target, id=f"{name}-{target}", marks=[pytest.mark.large] * ((name, target) not in QUICK)
        )
        for name in table
        for target in TARGETS
    ]


def agrees(layer, x, target):
    """The simulator and the integers of torch and TensorIR give the same; MACs are all on the chip."""
    torch.manual_seed(0)
    model = nn.Sequential(layer, nn.ReLU()).eval()
    quant = QuantConfig.of_hardware(load_hardware(target)).unfitted()
    given = {"target": target, "example_inputs": x, "calibration": x.numpy()}
    exe = tvm_vsq.compile(model, quant=quant, strict=True, **given)
    found = exe(x.numpy())
    np.testing.assert_array_equal(found, exe.reference(x.numpy()))
    assert exe.explain().not_counted.macs == 0
    expected = tvm_vsq.fake_quantize(model, quant=quant, **given)(x).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    return exe


@pytest.mark.large
@pytest.mark.parametrize(("name", "target"), cases(CONVOLUTIONS))
def test_convolutions_of_resnet_18(name, target):
    size, inputs, outputs, kernel, padding, stride = CONVOLUTIONS[name]
    exe = agrees(
        nn.Conv2d(inputs, outputs, kernel, stride, padding), torch.randn(1, inputs, size, size), target
    )
    assert exe.timing().macs == (size // stride) ** 2 * inputs * outputs * kernel**2


@pytest.mark.parametrize(("name", "target"), cases(GROUPED))
def test_grouped_convolutions_of_mobilenet(name, target):
    size, channels, groups, stride = GROUPED[name]
    layer = nn.Conv2d(channels, channels, 3, stride, 1, groups=groups)
    exe = agrees(layer, torch.randn(1, channels, size, size), target)
    # groups of 16 channels are whole vectors: nothing off the diagonal is computed
    assert exe.timing().macs == (size // stride) ** 2 * channels * 16 * 9


@pytest.mark.parametrize(("name", "target"), cases(TRANSPOSED))
def test_transposed_convolutions_of_dcgan(name, target):
    size, inputs, outputs = TRANSPOSED[name]
    exe = agrees(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), torch.randn(1, inputs, size, size), target)
    # each pixel of the result has 2 x 2 taps that reach it
    assert exe.timing().macs == (2 * size) ** 2 * inputs * outputs * 4


@pytest.mark.parametrize(
    "padding", first_of([[1, 2, 3, 0], [0, 0, 0, 2], [2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]], 2), ids=str
)
def test_padded_loads_on_each_side(padding):
    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(20, 24, 3)

        def forward(self, x):
            return self.conv(F.pad(x, padding))

    agrees(Padded(), torch.randn(1, 20, 7, 6), "vsq-accel")
