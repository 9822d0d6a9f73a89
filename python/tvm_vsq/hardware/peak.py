"""What an accelerator can do at most: every multiplier busy in each cycle."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.energy import layer_energy
from tvm_vsq.hardware.technology import Technology

PEAK_NOTE = (
    "every multiplier busy; a MAC is two operations; power of the array and the scratchpads that it reads "
    "and writes, with leakage and clock where the technology has them, without DRAM, PPU and vector unit"
)
"""What the figures of `Peak` are of."""


@dataclass(frozen=True)
class Peak:
    """tops: 10^12 operations a second, two for a multiply-accumulate.

    watts: of the array at work with the scratchpads that it reads and writes, leakage and clock where the
    table has them, and without DRAM and PPU.
    """

    tops: float
    watts: float

    @property
    def tops_per_watt(self) -> float:
        """Of the array at work."""
        return self.tops / self.watts


def clock_note(hardware: HardwareConfig, technology: Technology) -> str:
    """What has to be said of the clock beside figures: that the RTL is not known to meet it; "" if it is."""
    highest = technology.logic.highest_mhz if technology.logic else None
    if highest is None or hardware.clock_mhz <= highest:
        return ""
    return (
        f"clock_mhz={hardware.clock_mhz} is taken as it is; the RTL meets {highest:g} MHz in "
        f"{technology.name}"
    )


def peak_of(hardware: HardwareConfig, technology: Technology) -> Peak:
    """A micro-op of GEMM in each cycle: two vectors read for each lane, an accumulator read and written."""
    lanes, formats, entries = hardware.output_lanes, hardware.formats, hardware.entry_bits
    scaled = formats.product_bits > 0
    both = formats.weight.scale_bits is not None and formats.activation.scale_bits is not None
    events = {
        "macs": hardware.macs_per_cycle,
        "scale_products": lanes * both,
        "scale_macs": lanes * scaled,
        "acc_write_bits": entries["acc"],
        **{f"{memory}_read_bits": entries[memory] for memory in ("uop", "inp", "wgt", "acc")},
    }
    energy = layer_energy(events, hardware, technology, 1, {"compute": 1})
    pj = sum(pj for name, pj in energy.items() if not name.startswith("DRAM"))
    return Peak(2 * hardware.macs_per_cycle * hardware.clock_mhz * 1e-6, pj * hardware.clock_mhz * 1e-6)
