"""Adaptive pools with windows of several sizes, and maxima of images."""

from __future__ import annotations

import pytest
import torch
from tests.canonical import LAYERS, MOVES, between, imported
from tests.seeds import first_of
from torch import nn

from tvm_vsq.frontend.adaptive import adaptive_windows, runs_of

SIZES = [(4, 3), (7, 1), (1, 5), (2, 6), (11, 13), (9, 8), (18, 24), (9, 16), (20, 8)]


@pytest.mark.parametrize("size", first_of([(size,) for size in SIZES], 1))
@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d])
def test_adaptive_pools(pool, size):
    """Of 9 rows and 8 columns to fewer, to as many, and to more."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), pool(size), nn.Conv2d(4, 5, 1))
    assert set(between(imported(model, torch.randn(2, 3, 9, 8)))) <= LAYERS | MOVES


@pytest.mark.parametrize(
    "largest",
    first_of(
        [
            lambda x: x.amax((2, 3)),
            lambda x: x.amax((-1, -2), keepdim=True),
            lambda x: x.flatten(2).max(-1).values,
            lambda x: x.flatten(2).mean(-1),
            lambda x: nn.functional.adaptive_max_pool2d(x, 1),
            lambda x: x.max(3, keepdim=True).values,
            lambda x: x.mean(2),
        ],
        4,
    ),
)
def test_maxima_and_means_of_images(largest):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return largest(self.conv(x))

    assert set(between(imported(Net(), torch.randn(2, 3, 5, 6)))) <= LAYERS


def test_windows_of_one_size_share_a_pool():
    windows = adaptive_windows(6, 4)
    assert windows == [(0, 2), (1, 3), (3, 5), (4, 6)]
    assert runs_of(windows) == [(0, 2, 1, 2), (3, 2, 1, 2)]
    assert runs_of(adaptive_windows(12, 4)) == [(0, 3, 3, 4)]
    assert runs_of(adaptive_windows(3, 1)) == [(0, 3, 1, 1)]


def test_where_the_largest_lies_is_no_answer_of_a_wrong_place():
    """torch gives indices too; a network that returns them is refused when its import is checked."""
    from tvm_vsq.errors import ModelError
    from tvm_vsq.importing import import_checked

    class Indices(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.adaptive_max_pool2d(x, (2, 2), return_indices=True)[1]

    with pytest.raises(ModelError):
        import_checked(Indices(), (torch.randn(1, 2, 5, 5),), True)
