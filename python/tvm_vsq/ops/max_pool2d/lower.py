"""Maximum pooling as a workload: a window of vectors, of which the vector unit keeps the largest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_vsq.codegen.lowering import Lowering
from tvm_vsq.codegen.windows import windows_of
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.vector import LARGEST, Unpack
from tvm_vsq.schedule.windows import Windows


@dataclass(frozen=True)
class Pooling(Windows):
    """The largest in each window."""

    @property
    def body(self) -> Unpack:
        """The largest of a window."""
        return Unpack(LARGEST)

    @property
    def kind(self) -> str:
        """Of keys."""
        return "max"


def _workload(call: Any, has_residual: bool, hardware: HardwareConfig) -> Pooling:
    return Pooling(**windows_of(call, has_residual, hardware))


LOWER = Lowering(_workload)
