"""Layers of single pixels, channels last: the canonical form of what only changes channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.graph import constant, static_shape
from tvm_vsq.tvm_compat import Call, Var


def mixed_channels(x: Var, weights: npt.NDArray[np.float32]) -> Call:
    """`weights` [K, C] times the channels of each pixel of `x` [..., C]."""
    if len(static_shape(x)) != 4:
        return relax.op.matmul(x, constant(np.ascontiguousarray(weights.T)))
    kernel: Any = constant(weights[:, None, None, :])
    return relax.op.nn.conv2d(x, kernel, data_layout="NHWC", kernel_layout="OHWI", out_layout="NHWC")


def padded(x: Var, around: Sequence[int], before: int, behind: int) -> Call:
    """`x` [N, H, W, C] with zeros around (top, left, bottom, right), and with channels of zeros."""
    channels = static_shape(x)[-1]
    weights = np.eye(channels, dtype=np.float32)
    weights = np.pad(weights, ((before, behind), (0, 0))) if before or behind else weights.diagonal()[:, None]
    return relax.op.nn.conv2d(
        x,
        constant(weights[:, None, None]),
        padding=list(around),
        groups=channels // weights.shape[1],
        data_layout="NHWC",
        kernel_layout="OHWI",
        out_layout="NHWC",
    )
