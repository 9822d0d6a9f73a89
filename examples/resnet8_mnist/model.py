"""ResNet-8 for 28 x 28 grey images: one convolution, three residual blocks, one linear layer."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

CHECKPOINT = Path(__file__).with_name("resnet8_mnist.pt")


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, which is a 1 x 1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, inputs, H, W] -> float32 [N, outputs, ceil(H / stride), ceil(W / stride)]."""
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet8(nn.Module):
    """Stages of 16, 32 and 64 channels at 28, 14 and 7 pixels, then the mean over the image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.stage1 = ResidualBlock(16, 16, stride=1)
        self.stage2 = ResidualBlock(16, 32, stride=2)
        self.stage3 = ResidualBlock(32, 64, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, 1, 28, 28], grey values in 0..1 -> class scores, float32 [N, 10]."""
        y = torch.relu(self.bn(self.conv(x)))
        y = self.stage3(self.stage2(self.stage1(y)))
        return self.linear(torch.flatten(self.pool(y), 1))


def load_trained() -> ResNet8:
    """The committed checkpoint, in inference mode."""
    model = ResNet8()
    model.load_state_dict(torch.load(CHECKPOINT, weights_only=True))
    return model.eval()
