"""Weights as vectors with the output channels last: what is done to all channels alike runs along memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics.layout import split_channels

_VALUES_AT_ONCE = 1 << 18
"""Weights that are worked on together where channels do not depend on one another: what a cache holds."""


def lanes_of(w: npt.NDArray[Any], gamma: npt.NDArray[np.float32], fmt: VectorFormat) -> Tensor:
    """Weights [K, ..., C] in steps of `gamma` [K], as float32 [vectors, V, K]; channels beyond C are 0."""
    steps = w / gamma.reshape(-1, *[1] * (w.ndim - 1))
    values = split_channels(steps.astype(np.float32, copy=False), fmt).reshape(len(w), -1, fmt.vector_size)
    return torch.from_numpy(values).permute(1, 2, 0).contiguous()


def vectors_of(elements: Tensor, scales: Tensor, shape: tuple[int, ...]) -> npt.NDArray[np.int16]:
    """Elements [vectors, V, K] and scales [vectors, K] as int16[K, ..., CV, V+1], for weights of `shape`."""
    whole = torch.cat([elements.to(torch.int16), scales.to(torch.int16)[:, None]], dim=1)
    vectors = whole.permute(2, 0, 1).contiguous().numpy()
    return np.asarray(vectors.reshape(*shape[:-1], -1, vectors.shape[-1]))


def by_channels(shape: tuple[int, ...]) -> Iterator[slice]:
    """The output channels of weights of `shape`, so many at a time as a cache holds."""
    channels = max(1, _VALUES_AT_ONCE // int(np.prod(shape[1:])))
    for start in range(0, shape[0], channels):
        yield slice(start, start + channels)
