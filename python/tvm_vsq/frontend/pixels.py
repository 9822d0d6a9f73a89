"""Layers of single pixels, channels last: the canonical form of what only changes channels."""

from __future__ import annotations

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
