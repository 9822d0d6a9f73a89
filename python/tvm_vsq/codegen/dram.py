"""Addresses: constants first, then micro-ops, then activations, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from tvm_vsq.errors import ProgramError
from tvm_vsq.hardware import HardwareConfig


@dataclass
class DramLayout:
    """Bump allocation of named regions, each starting on a burst boundary."""

    hardware: HardwareConfig
    addresses: dict[str, int] = field(default_factory=dict)
    _pieces: list[tuple[int, bytes]] = field(default_factory=list)
    _end: int = 0

    def reserve(self, region: str, size: int, layer: str) -> int:
        """Address of `size` new bytes. ProgramError, naming the layer that needs them, beyond the DRAM's
        capacity.
        """
        burst = self.hardware.dram.burst_bytes
        start = -(-self._end // burst) * burst
        capacity = self.hardware.dram.capacity_mib << 20
        if start + size > capacity:
            mib = 1 << 20
            raise ProgramError(
                f"layer '{layer}': {region} needs {size / mib:.2f} MiB of DRAM, {start / mib:.2f} MiB are in "
                f"use and {capacity // mib} MiB is all there is; raise dram.capacity_mib or split the model"
            )
        self.addresses[region] = start
        self._end = start + size
        return start

    def place(self, region: str, content: bytes, layer: str) -> int:
        """Reserve room for `content`, which belongs to the initial image."""
        start = self.reserve(region, len(content), layer)
        self._pieces.append((start, content))
        return start

    @property
    def size(self) -> int:
        """Bytes in use."""
        return self._end

    def image(self) -> bytes:
        """Initial DRAM content from address 0 up to the last constant."""
        image = bytearray(max((start + len(content) for start, content in self._pieces), default=0))
        for start, content in self._pieces:
            image[start : start + len(content)] = content
        return bytes(image)
