"""What code generation has to know of an operator: the aspect `lower` of `registry`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule import Workload

Weights = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Lowering:
    """workload: from a vsq.* call, whether it has a residual, and the accelerator, the shape of its work.

    weights: from the constant weights of a call, int16 [K, ..., CV, V+1], what the array reads of each output
    channel, [K, R, S, CV, V+1]; None if it has none. has_other: whether operand 1 is a second activation, the
    operand "other" of the nest.
    """

    workload: Callable[[Any, bool, HardwareConfig], Workload]
    weights: Callable[[Weights, Any, HardwareConfig], Weights] | None = None
    has_other: bool = False


def output_blocks(channels: int, hardware: HardwareConfig) -> int:
    """Accumulator blocks of so many output channels."""
    return -(-channels // hardware.output_lanes)
