"""Small untrained networks with the structures the compiler has to handle; weights depend on the seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import tvm
from torch import nn
from tvm import relax


class ResidualBlock(nn.Module):
    """Two convolutions with batch norm, and a downsampling convolution beside them if the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=True)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet(nn.Module):
    """The structure of ResNet-8, narrow, with channel counts that are no multiple of a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 7, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(7)
        self.layer1 = ResidualBlock(7, 7, 1)
        self.layer2 = ResidualBlock(7, 18, 2)
        self.fc = nn.Linear(18, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.layer2(self.layer1(y))
        return self.fc(torch.nn.functional.adaptive_avg_pool2d(y, 1).flatten(1))


class ClippedNet(nn.Module):
    """ReLU6, max pooling, dilation, asymmetric stride, and two results of which one feeds a layer as well."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 10, 3, stride=(2, 1), padding=(1, 0))
        self.dilated = nn.Conv2d(10, 9, 3, padding=2, dilation=2)
        self.head = nn.Conv2d(9, 4, 1)
        with torch.no_grad():  # large enough that 6 is reached
            self.stem.weight *= 6
            self.dilated.weight *= 6

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = nn.functional.relu6(self.stem(x))
        y = nn.functional.max_pool2d(y, 3, 2, padding=1)
        y = nn.functional.relu6(self.dilated(y))
        return self.head(y), y


class DepthwiseNet(nn.Module):
    """MobileNet's separable convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(3, 12, 1)
        self.depthwise = nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.project = nn.Conv2d(12, 6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.project(nn.functional.relu6(self.depthwise(nn.functional.relu6(self.expand(x)))))


class GroupedNet(nn.Module):
    """A convolution with groups between pointwise ones."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(3, 12, 1)
        self.grouped = nn.Conv2d(12, 12, 3, padding=1, groups=4)
        self.project = nn.Conv2d(12, 6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.project(torch.relu(self.grouped(torch.relu(self.expand(x)))))


class Mlp(nn.Module):
    """A transformer's feed-forward block on [B, T, C], with its residual and layer norm."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(20, 33)
        self.down = nn.Linear(33, 20, bias=False)
        self.norm = nn.LayerNorm(20)
        self.head = nn.Linear(20, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.down(torch.relu(self.up(x))) + x))


class PlainNet(nn.Module):
    """A stack of convolutions that never leaves the accelerator, with a residual, and nothing on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(16, 16, 3, padding=1)
        self.b = nn.Conv2d(16, 16, 3, padding=1)
        self.c = nn.Conv2d(16, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.a(x))
        return self.c(torch.relu(y + self.b(y)))


QUICK = tvm.target.Target({"kind": "llvm", "opt-level": 0})
"""Without LLVM's optimizer a build takes a quarter of the time, and tests build more than they compute."""

INPUTS: dict[Callable[[], nn.Module], tuple[int, ...]] = {
    ResNet: (2, 3, 12, 12),
    ClippedNet: (2, 3, 13, 11),
    DepthwiseNet: (2, 3, 8, 8),
    GroupedNet: (2, 3, 8, 8),
    Mlp: (2, 5, 20),
    PlainNet: (1, 16, 6, 6),
}


def build(network: Callable[[], nn.Module], seed: int = 0) -> tuple[nn.Module, torch.Tensor]:
    """A network in eval mode, its batch norms with statistics of their own, and an input for it."""
    torch.manual_seed(seed)
    model = network()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return model.eval(), torch.randn(INPUTS[network])


def samples(network: Callable[[], nn.Module], count: int = 16) -> np.ndarray:
    """Calibration data: `count` samples in the shape of the network's input."""
    rng = np.random.default_rng(1)
    return rng.standard_normal((count, *INPUTS[network][1:]), np.float32)


def run_torch(model: nn.Module, *inputs: torch.Tensor) -> list[np.ndarray]:
    """The network's results as arrays."""
    with torch.no_grad():
        results = model(*inputs)
    return [tensor.numpy() for tensor in (results if isinstance(results, tuple) else (results,))]


def run_tvm(module: Any, *inputs: Any) -> list[np.ndarray]:
    """Compile a module and run it; its results as arrays."""
    machine = relax.VirtualMachine(relax.build(module, QUICK), tvm.cpu())
    results = machine["main"](*(tvm.runtime.tensor(np.asarray(array)) for array in inputs))
    return [results.numpy()] if hasattr(results, "numpy") else [result.numpy() for result in results]


def sqnr_db(reference: np.ndarray, value: np.ndarray) -> float:
    """Signal to quantization noise ratio in dB."""
    noise = float(((reference.astype(np.float64) - value) ** 2).sum())
    return 10 * float(np.log10(float((reference.astype(np.float64) ** 2).sum()) / max(noise, 1e-30)))
