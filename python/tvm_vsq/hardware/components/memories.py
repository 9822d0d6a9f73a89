"""Scratchpads, and the DRAM channel."""

from __future__ import annotations

from collections.abc import Iterator

from tvm_vsq.hardware.components.component import Component
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.memories import MEMORIES
from tvm_vsq.hardware.units import DramChannel, Sram


def memories(hardware: HardwareConfig) -> Iterator[Component]:
    """Each scratchpad with the ports of docs/simulator.md; the DRAM, which is not on the chip."""
    for memory in MEMORIES:
        unit = Sram(
            memory.kib(hardware),
            memory.entry_bits(hardware),
            memory.banks(hardware),
            len(memory.readers),
            len(memory.writers),
        )
        uses = {memory.read_event: 1.0, memory.write_event: 1.0}
        yield Component(f"{memory.title} scratchpad", unit, 1, uses, "scratchpads")
    yield Component("DRAM reads", DramChannel(), 1, {"dram_read_bytes": 1}, "DRAM")
    yield Component("DRAM writes", DramChannel(writes=True), 1, {"dram_write_bytes": 1}, "DRAM")
