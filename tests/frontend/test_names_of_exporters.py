"""A network has the same layer names from torch and from what torch's exporters make of it."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

from tvm_vsq.frontend import import_model
from tvm_vsq.network import layer_names


class Block(nn.Module):
    """A convolution whose weights exporters fold a batch norm into."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv(x)))


class Nested(nn.Module):
    """Sequences in a sequence, and a linear layer of three axes, which exporters transpose."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(Block(), nn.Sequential(Block(), Block()))
        self.mixer = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(x).flatten(2).transpose(1, 2)
        return self.head(self.mixer(x).mean(1))


WEIGHTED = ["stages.0.conv", "stages.1.0.conv", "stages.1.1.conv", "mixer.0", "mixer.2", "head"]


@pytest.mark.parametrize("source", ["pt2", "dynamo", "torchscript"])
def test_layers_are_called_after_their_modules(source, tmp_path):
    torch.manual_seed(0)
    model, x = Nested().eval(), torch.randn(1, 8, 6, 6)
    given = torch.export.export(model, (x,))
    if source != "pt2":
        given = tmp_path / "net.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(model, (x,), given, dynamo=source == "dynamo", verbose=False)
    names = layer_names(import_model(given)).values()
    assert [name for name in names if not name.startswith("avg_pool2d")] == WEIGHTED
