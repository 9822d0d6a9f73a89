"""What depthwise convolutions add to the array; not in `rtl/`."""

from __future__ import annotations

from collections.abc import Iterator

from tvm_vsq.hardware.components.component import Component
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.units import Multiplier, Register, Selector, Sram


def window(hardware: HardwareConfig) -> Iterator[Component]:
    """Element times scale of the places that enter a window, and registers, which every product reads."""
    activation, lanes = hardware.formats.activation, hardware.group_channels
    bits = activation.bits + activation.scale_width
    if activation.scale_bits is not None:
        unit = Multiplier(activation.bits, activation.scale_bits)
        yield Component("window's scale multiplier", unit, lanes, {"window_lanes": 1}, "windows")
    held = hardware.window_taps * lanes * bits
    # Their energy is that of a small memory, their area that of the flip-flops that they are.
    memory = Sram(held / 8192, lanes * bits, 1)
    yield Component("window registers", memory, 0, {"window_lanes": bits, "window_macs": bits}, "windows")
    yield Component("window flip-flops", Register(held), 1, {}, "windows")
    operands = hardware.macs_per_cycle * activation.bits
    yield Component("window's choice of operands", Selector(operands), 1, {}, "windows")
