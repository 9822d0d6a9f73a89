"""Topologies of convolutional networks, with seeded random weights: accuracy would mean nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    padding = kernel // 2
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Residual(nn.Module):
    """Convolutions beside a shortcut (He et al., CVPR 2016, figure 5; stride on the first 3x3 one)."""

    def __init__(self, inputs: int, width: int, stride: int, is_bottleneck: bool) -> None:
        super().__init__()
        outputs = 4 * width if is_bottleneck else width
        kernels = (1, 3, 1) if is_bottleneck else (3, 3)
        widths = (inputs, *[width] * (len(kernels) - 1), outputs)
        first = kernels.index(3)
        layers: list[nn.Module] = []
        for number, kernel in enumerate(kernels):
            strided = stride if number == first else 1
            layers += [_conv(widths[number], widths[number + 1], kernel, strided), nn.ReLU()]
        self.body = nn.Sequential(*layers[:-1])
        is_same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if is_same else _conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet(counts: tuple[int, int, int, int], is_bottleneck: bool) -> nn.Module:
    """He et al., CVPR 2016, table 1: so many blocks of each width."""
    layers: list[nn.Module] = [_conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]
    inputs = 64
    for number, count in enumerate(counts):
        width = 64 << number
        for block in range(count):
            stride = 2 if number > 0 and block == 0 else 1
            layers.append(Residual(inputs, width, stride, is_bottleneck))
            inputs = 4 * width if is_bottleneck else width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000))


class InvertedResidual(nn.Module):
    """Expand, depthwise, project (Sandler et al., "MobileNetV2", CVPR 2018, table 1)."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        layers: list[nn.Module] = [_conv(inputs, width, 1), nn.ReLU6()] if expansion != 1 else []
        layers += [_conv(width, width, 3, stride, groups=width), nn.ReLU6(), _conv(width, outputs, 1)]
        self.body = nn.Sequential(*layers)
        self.is_added = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return x + y if self.is_added else y


def mobilenet_v2() -> nn.Module:
    """Sandler et al., CVPR 2018, table 2: expansion, channels, blocks, stride of the first."""
    layers: list[nn.Module] = [_conv(3, 32, 3, 2), nn.ReLU6()]
    inputs = 32
    for expansion, channels, count, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for block in range(count):
            layers.append(InvertedResidual(inputs, channels, stride if block == 0 else 1, expansion))
            inputs = channels
    layers += [_conv(inputs, 1280, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(1280, 1000))


TOPOLOGIES: dict[str, Callable[[], nn.Module]] = {
    "ResNet-18": lambda: resnet((2, 2, 2, 2), False),
    "ResNet-34": lambda: resnet((3, 4, 6, 3), False),
    "ResNet-50": lambda: resnet((3, 4, 6, 3), True),
    "MobileNet v2": mobilenet_v2,
    "ResNet-101": lambda: resnet((3, 4, 23, 3), True),
    "ResNet-152": lambda: resnet((3, 8, 36, 3), True),
}


def build(name: str) -> nn.Module:
    """The network `name` in inference mode; batch norms keep the size of what passes through them."""
    torch.manual_seed(0)
    model = TOPOLOGIES[name]()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, Residual | InvertedResidual):
            last = [each for each in module.body.modules() if isinstance(each, nn.BatchNorm2d)][-1]
            nn.init.constant_(last.weight, 0.5)  # sums of many blocks do not grow without end
    return model.eval()
