"""Random networks of all operators: the simulator equals TensorIR bit by bit, and is close to fp32."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import tvm_vsq
from tvm_vsq import QuantConfig
from tvm_vsq.hardware import load_hardware

INT8 = load_hardware("vsq-accel-int8")
TARGETS = (INT8, INT8.with_formats("8/8/-/-", vector_size=8), load_hardware("vsq-accel"))
FUNCTIONS = {
    "relu": torch.relu,
    "relu6": F.relu6,
    "leaky": lambda y: F.leaky_relu(y, 0.1),
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "hardswish": F.hardswish,
    "gelu": F.gelu,
    "none": lambda y: y,
}


class RandomNetwork(nn.Module):
    """Steps [kind, number of the tensor that it reads, what else it is], each of which makes a tensor."""

    def __init__(self, seed: int, on_host: bool) -> None:
        super().__init__()
        self.draw = random.Random(seed)
        self.layers = nn.ModuleList()
        self.steps: list[tuple] = []
        self.shapes: list[tuple[int, int, int]] = []
        self._layer(None, nn.Conv2d(3, self.draw.choice([8, 13, 16, 24]), 3, padding=1), (6, 10))
        kinds = ["conv", "conv", "depthwise", "transposed", "grouped", "concat", "concat", "slice", "order"]
        kinds += ["rows", "max", "mean", "square", "add", "gate", "product", "up", "pad", *["host"] * on_host]
        for _ in range(self.draw.randrange(5, 11)):
            self._step(self.draw.choice(kinds))
        for layer in self.layers:
            generator = torch.Generator().manual_seed(seed)
            weight = torch.randn(layer.weight.shape, generator=generator)
            layer.weight.data = weight / weight[0].numel() ** 0.5
            layer.bias.data = torch.randn(layer.bias.shape, generator=generator) / 4

    def _layer(self, at, layer, extents):
        self.layers.append(layer)
        function = self.draw.choice(list(FUNCTIONS))
        self._made(("layer", at, len(self.layers) - 1, function), (layer.out_channels, *extents))

    def _made(self, step, shape):
        self.steps.append(step)
        self.shapes.append(shape)

    def _step(self, kind):
        draw, at = self.draw, self.draw.randrange(len(self.shapes))
        c, h, w = self.shapes[at]
        match kind:
            case "conv":
                size, stride = draw.choice([(1, 1), (3, 1), (3, 2)])
                layer = nn.Conv2d(c, draw.choice([5, 8, 11, 16, 20]), size, stride, size // 2)
                self._layer(at, layer, ((h - 1) // stride + 1, (w - 1) // stride + 1))
            case "depthwise":
                self._layer(at, nn.Conv2d(c, c, 3, padding=1, groups=c), (h, w))
            case "grouped" if c % 2 == 0:
                self._layer(at, nn.Conv2d(c, draw.choice([8, 12]), 3, padding=1, groups=2), (h, w))
            case "transposed" if h * w <= 60:
                self._layer(at, nn.ConvTranspose2d(c, draw.choice([6, 16]), 4, 2, 1), (2 * h, 2 * w))
            case "concat":
                parts = [at, *(i for i, shape in enumerate(self.shapes) if shape[1:] == (h, w))][:4]
                draw.shuffle(parts)
                self._made((kind, parts), (sum(self.shapes[part][0] for part in parts), h, w))
            case "slice":
                begin = draw.randrange(max(1, c // 2))
                end = draw.randrange(begin + 1, c + 1)
                self._made((kind, at, begin, end), (end - begin, h, w))
            case "order":
                order = draw.sample(range(c), draw.choice([c, max(1, c - 3)]))
                self._made((kind, at, order), (len(order), h, w))
            case "rows" if h > 2:
                self._made((kind, at), (c, h - 1, w))
            case "max" | "mean" | "square" | "host":
                self._made((kind, at), (c, h, w))
            case "add" | "product":
                other = draw.choice([i for i, shape in enumerate(self.shapes) if shape == (c, h, w)])
                self._made((kind, at, other), (c, h, w))
            case "gate":
                self.layers.append(nn.Conv2d(c, c, 1))
                self._made((kind, at, len(self.layers) - 1), (c, h, w))
            case "up" if h * w <= 60:
                self._made((kind, at, draw.choice(["nearest", "bilinear"])), (c, 2 * h, 2 * w))
            case "pad":
                self._made((kind, at, draw.choice(["reflect", "replicate"])), (c, h, w + 2))

    def forward(self, x):
        made = []
        for kind, at, *rest in self.steps:
            y = x if at is None else made[at] if kind != "concat" else None
            match kind:
                case "layer":
                    y = FUNCTIONS[rest[1]](self.layers[rest[0]](y))
                case "concat":
                    y = torch.cat([made[part] for part in at], 1)
                case "slice":
                    y = y[:, rest[0] : rest[1]]
                case "order":
                    y = y[:, torch.tensor(rest[0])]
                case "rows":
                    y = y[:, :, 1:]
                case "max":
                    y = F.max_pool2d(y, 3, 1, 1)
                case "mean":
                    y = F.avg_pool2d(y, 3, 1, 1)
                case "host":
                    y = torch.sin(y)
                case "square":
                    y = torch.tanh(y) * 2
                    y = y * y
                case "add":
                    y = y + made[rest[0]]
                case "product":
                    y = y * torch.sigmoid(made[rest[0]])
                case "gate":
                    y = y * torch.sigmoid(self.layers[rest[0]](y.mean((2, 3), keepdim=True)))
                case "up":
                    y = F.interpolate(y, scale_factor=2, mode=rest[0])
                case "pad":
                    y = F.pad(y, (1, 1, 0, 0), mode=rest[0])
            made.append(y)
        return made[-1]


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.large] * (seed > 1)) for seed in range(60)]
)
def test_all_operators_side_by_side(seed):
    torch.manual_seed(seed)
    model, x = RandomNetwork(seed, on_host=seed % 4 == 3).eval(), torch.randn(4, 3, 6, 10)
    hardware = TARGETS[seed % 3]
    quant = QuantConfig.of_hardware(hardware)
    quant = quant if seed % 2 else quant.unfitted()
    exe = tvm_vsq.compile(model, hardware, example_inputs=x, calibration=x.numpy(), quant=quant)
    found = exe(x.numpy())
    np.testing.assert_array_equal(found, exe.reference(x.numpy()))
    with torch.inference_mode():
        expected = model(x).numpy()
    error = np.square(expected - found).sum()
    least_db = 4 if seed % 3 == 2 else 20  # formats of 4 bits through ten layers
    assert 10 * np.log10(np.square(expected).sum() / error) > least_db
