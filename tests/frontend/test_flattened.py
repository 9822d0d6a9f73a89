"""Linear layers behind images and sequences read them with the channels last."""

from __future__ import annotations

import pytest
import torch
from tests.canonical import LAYERS, between, imported, operators, through_onnx
from tests.seeds import one_of
from torch import nn

SHAPES = [(1, 3, 5, 4), (3, 3, 7, 6)]


def flattening(shape: tuple[int, ...]) -> nn.Module:
    _, channels, rows, columns = shape
    head = [nn.Flatten(), nn.Linear(6 * rows * columns, 9), nn.ReLU(), nn.Linear(9, 4)]
    return nn.Sequential(nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU(), *head)


@pytest.mark.parametrize("shape", one_of([(shape,) for shape in SHAPES]))
def test_a_flattened_image_is_read_as_it_lies(shape):
    torch.manual_seed(0)
    model, x = flattening(shape), torch.randn(shape)
    for module in (imported(model, x), through_onnx(model, x)):
        assert between(module).count("reshape") == 1
        assert operators(module).count("permute_dims") == 1  # of the input


class Recognizer(nn.Module):
    """Columns of an image as a sequence, [W, N, C] or [N, W, C], then linear layers."""

    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 6, 3, padding=1), nn.MaxPool2d((5, 1))
        self.hidden, self.last = nn.Linear(6, 9), nn.Linear(9, 4)
        self.order = order

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        columns = self.pool(torch.relu(self.conv(x)))
        n, c, h, w = columns.shape
        sequence = columns.reshape(n, c * h, w).permute(self.order)
        return self.last(torch.relu(self.hidden(sequence)))


@pytest.mark.parametrize("order", [(0, 2, 1), (2, 0, 1)])
@pytest.mark.parametrize("count", one_of([1, 3]))
def test_the_columns_of_an_image_are_a_sequence(order, count):
    torch.manual_seed(0)
    model, x = Recognizer(order), torch.randn(count, 3, 5, 8)
    for module in (imported(model, x), through_onnx(model, x)):
        assert set(between(module)) <= LAYERS
