"""Networks that concatenate, split, and reorder channels between layers: whole on the chip, bit by bit."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from tests.seeds import seeds
from torch import nn
from torch.nn import functional as F

import tvm_vsq
from tvm_vsq import QuantConfig
from tvm_vsq.hardware import HardwareConfig, load_hardware

INT8 = load_hardware("vsq-accel-int8")
V8 = INT8.with_formats("8/8/-/-", vector_size=8)
SCALED = load_hardware("vsq-accel")


def compiled(model, x, hardware: HardwareConfig = INT8, **options):
    quant = QuantConfig.of_hardware(hardware).unfitted()
    given = {"example_inputs": x, "calibration": x.numpy(), "quant": quant, "strict": True, **options}
    return tvm_vsq.compile(model.eval(), hardware, **given)


def agrees(model, x, hardware=INT8, least_db=25.0, **options):
    """Simulator and TensorIR equal, torch's integers too, and fp32 close to them; the compiled network."""
    exe = compiled(model, x, hardware, **options)
    found = exe(x.numpy())
    np.testing.assert_array_equal(found, exe.reference(x.numpy()))
    quant = QuantConfig.of_hardware(hardware).unfitted()
    torch_module = tvm_vsq.fake_quantize(
        model, quant, target=hardware, example_inputs=x, calibration=x.numpy()
    )
    with torch.inference_mode():
        expected = model(x).numpy()
        np.testing.assert_allclose(torch_module(x).numpy(), found, rtol=1e-4, atol=1e-4 * np.abs(found).max())
    error = np.square(expected - found).sum()
    assert 10 * np.log10(np.square(expected).sum() / error) > least_db
    return exe


class RandomMoves(nn.Module):
    """Layers and moves in a random order; every result has the same rows and columns."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = random.Random(seed)
        self.layers = nn.ModuleList([nn.Conv2d(3, draw.choice([8, 13, 16, 24]), 3, padding=1)])
        self.steps = []
        channels = [self.layers[0].out_channels]
        for _ in range(draw.randrange(4, 9)):
            kind = draw.choice(
                ["conv", "conv", "concat", "concat", "slice", "order", "pool", "add", "depthwise"]
            )
            at = draw.randrange(len(channels))
            given = channels[at]
            if kind in ("conv", "depthwise"):
                taken = given if kind == "depthwise" else draw.choice([8, 11, 16, 20])
                size, groups = (3, given) if kind == "depthwise" else (draw.choice([1, 3]), 1)
                self.layers.append(nn.Conv2d(given, taken, size, padding=size // 2, groups=groups))
                step = ("layer", at, len(self.layers) - 1)
            elif kind == "concat":
                parts = [at, *(draw.randrange(len(channels)) for _ in range(draw.randrange(1, 3)))]
                taken, step = sum(channels[part] for part in parts), ("concat", parts)
            elif kind == "slice":
                begin = draw.randrange(given // 2)
                end = draw.randrange(begin + 1, given + 1)
                taken, step = end - begin, ("slice", at, begin, end)
            elif kind == "order":
                order = draw.sample(range(given), draw.choice([given, max(1, given - 3)]))
                taken, step = len(order), ("order", at, order)
            elif kind == "pool":
                taken, step = given, ("pool", at)
            else:
                others = [i for i, count in enumerate(channels) if count == given]
                taken, step = given, ("add", at, draw.choice(others))
            self.steps.append(step)
            channels.append(taken)
        self.head = nn.Conv2d(channels[-1], 5, 1)
        with torch.no_grad():
            for layer in [*self.layers, self.head]:
                generator = torch.Generator().manual_seed(seed)
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator))
                layer.weight /= layer.weight[0].numel() ** 0.5
                layer.bias.copy_(torch.randn(layer.bias.shape, generator=generator) / 4)

    def forward(self, x):
        made = [torch.relu(self.layers[0](x))]
        for kind, at, *numbers in self.steps:
            if kind == "layer":
                y = torch.relu(self.layers[numbers[0]](made[at]))
            elif kind == "concat":
                y = torch.cat([made[part] for part in at], 1)
            elif kind == "slice":
                y = made[at][:, numbers[0] : numbers[1]]
            elif kind == "order":
                y = made[at][:, torch.tensor(numbers[0])]
            elif kind == "pool":
                y = F.max_pool2d(made[at], 3, 1, 1)
            else:
                y = made[at] + made[numbers[0]]
            made.append(y)
        return self.head(made[-1])


@pytest.mark.parametrize("seed", seeds(24))
def test_random_moves(seed):
    torch.manual_seed(seed)
    x = torch.randn(4, 3, 6, 5)
    agrees(RandomMoves(seed), x, (INT8, V8, SCALED)[seed % 3], 10 if seed % 3 == 2 else 25)
