"""A layer whose results are kept between two bounds before they become vectors, so that their scales are
1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.schedule.postprocess import PostProcess
from tvm_vsq.schedule.workload import Workload


@dataclass(frozen=True)
class WithClamp:
    """`work`, with bounds between two passes of the PPU."""

    work: Workload

    @property
    def key(self) -> str:
        """Stable text for tuning databases."""
        return f"{self.work.key}-clamp"

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """That of `work`, with parameters "par2" for what is between the bounds."""
        nest = self.work.nest(hardware)
        values = replace(nest.operand["par"], name="par2", title="parameters of values")
        return replace(nest, operands=(*nest.operands, values), finish=PostProcess(clamps=True))

    def text(self, channels: tuple[int, int], hardware: HardwareConfig) -> str:
        """As of `work`."""
        return self.work.text(channels, hardware)

    def padded_channels(self, hardware: HardwareConfig) -> tuple[int, int]:
        """As of `work`."""
        return self.work.padded_channels(hardware)

    def macs(self, channels: tuple[int, int]) -> int:
        """As of `work`."""
        return self.work.macs(channels)
