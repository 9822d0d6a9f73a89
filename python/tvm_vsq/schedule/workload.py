"""What the lowering of one layer depends on, apart from its data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.nest import LoopNest


class Workload(Protocol):
    """The shape of one layer, as its operator declares it: hashable, and equal where lowering is."""

    def __hash__(self) -> int: ...

    @property
    def key(self) -> str:
        """Stable text for tuning databases; equal keys lower alike on the same hardware."""

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """The layer as a loop nest on this hardware. `nest_of` keeps it."""

    def text(self, channels: tuple[int, int], hardware: HardwareConfig) -> str:
        """The shape for reports; `channels` of input and result are those that are no padding."""

    def padded_channels(self, hardware: HardwareConfig) -> tuple[int, int]:
        """Channels of input and result, with those that fill up vectors and blocks."""

    def macs(self, channels: tuple[int, int]) -> int:
        """Multiply-accumulates, without those of padding."""


@dataclass(frozen=True)
class Extension:
    """Base of what does more than `work`, with its results or on digits: its channels and products stay."""

    work: Workload

    def text(self, channels: tuple[int, int], hardware: HardwareConfig) -> str:
        """As of `work`."""
        return self.work.text(channels, hardware)

    def padded_channels(self, hardware: HardwareConfig) -> tuple[int, int]:
        """As of `work`."""
        return self.work.padded_channels(hardware)

    def macs(self, channels: tuple[int, int]) -> int:
        """As of `work`."""
        return self.work.macs(channels)


@lru_cache(maxsize=1024)
def nest_of(workload: Workload, hardware: HardwareConfig) -> LoopNest:
    """The workload's loop nest."""
    return workload.nest(hardware)
