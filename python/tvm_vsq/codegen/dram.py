"""Addresses: constants first, then micro-ops, then the arena of activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tvm_vsq.errors import ProgramError
from tvm_vsq.hardware import HardwareConfig


def whole_bursts(size: int, hardware: HardwareConfig) -> int:
    """So many bytes, rounded up to bursts."""
    burst = hardware.dram.burst_bytes
    return -(-size // burst) * burst


@dataclass
class DramLayout:
    """Named regions, each in bursts of its own or of those it shares bytes with; `size` bytes in all."""

    hardware: HardwareConfig
    addresses: dict[str, int] = field(default_factory=dict)
    size: int = 0
    _pieces: list[tuple[int, bytes]] = field(default_factory=list)

    def place(self, region: str, content: bytes, layer: str) -> None:
        """Put `content`, which belongs to the initial image, behind all regions.

        ProgramError, naming the layer that needs it, beyond the DRAM's capacity.
        """
        start = self.size
        self._reserve(region, start, len(content), layer)
        self._pieces.append((start, content))

    def place_arena(
        self, offsets: Mapping[str, int], sizes: Mapping[str, int], users: Mapping[str, str]
    ) -> None:
        """Put regions of these sizes in bytes, which share bytes, at these offsets behind all others.

        ProgramError as from `place`; `users` are the layers.
        """
        arena = self.size
        for region in sorted(offsets, key=lambda region: offsets[region]):
            self._reserve(region, arena + offsets[region], sizes[region], users[region])

    def _reserve(self, region: str, start: int, size: int, layer: str) -> None:
        capacity = self.hardware.dram.capacity_mib << 20
        if start + size > capacity:
            mib = 1 << 20
            raise ProgramError(
                f"layer '{layer}': {region} needs {size / mib:.2f} MiB of DRAM, {start / mib:.2f} MiB are in "
                f"use and {capacity // mib} MiB is all there is; raise dram.capacity_mib or split the model"
            )
        self.addresses[region] = start
        self.size = max(self.size, whole_bursts(start + size, self.hardware))

    def image(self) -> bytes:
        """Initial DRAM content from address 0 up to the last constant."""
        image = bytearray(max((start + len(content) for start, content in self._pieces), default=0))
        for start, content in self._pieces:
            image[start : start + len(content)] = content
        return bytes(image)
