"""What workloads without weights have in common."""

from __future__ import annotations

from tvm_vsq.hardware import HardwareConfig


class Weightless:
    """`n` images of `kb` blocks of output_lanes channels go in, and as many channels come out."""

    n: int
    kb: int

    def padded_channels(self, hardware: HardwareConfig) -> tuple[int, int]:
        """Channels of input and result, with those that fill up blocks."""
        return self.kb * hardware.output_lanes, self.kb * hardware.output_lanes

    def macs(self, channels: tuple[int, int]) -> int:
        """None."""
        return 0

    def tensor_text(self, rows: int, columns: int, channels: int, hardware: HardwareConfig) -> str:
        """For reports, such as "56x56x64", or "8x56x56x20(32)": a batch of 8, 12 channels of padding."""
        batch, padded = f"{self.n}x" if self.n > 1 else "", self.padded_channels(hardware)[0]
        return f"{batch}{rows}x{columns}x{channels}" + ("" if channels == padded else f"({padded})")
