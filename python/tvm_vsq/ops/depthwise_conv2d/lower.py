"""A depthwise convolution as a workload."""

from __future__ import annotations

from typing import Any

import numpy as np

from tvm_vsq.codegen.lowering import Lowering, Weights
from tvm_vsq.codegen.windows import windows_of
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.depthwise import Depthwise


def _workload(call: Any, has_residual: bool, hardware: HardwareConfig) -> Depthwise:
    return Depthwise(**windows_of(call, has_residual, hardware, "kernel"))


def _weights(weights: Weights, call: Any, hardware: HardwareConfig) -> Weights:
    """[K, R, SV, V+1] as [K, 1, 1, entries of a block, V+1].

    Without scales vectors need not end with a row of the kernel.
    """
    channels, size = len(weights), hardware.vector_size
    if hardware.weight_scale_bits is not None:
        return weights.reshape(channels, 1, 1, -1, size + 1)
    taps = weights[..., :-1].reshape(channels, weights.shape[1], -1)[..., : int(call.attrs["kernel"][1])]
    flat = taps.reshape(channels, -1)
    elements = np.pad(flat, ((0, 0), (0, -flat.shape[1] % size))).reshape(channels, -1, size)
    return np.pad(elements, ((0, 0), (0, 0), (0, 1)), constant_values=1)[:, None, None]


LOWER = Lowering(_workload, _weights)
