"""LOAD and STORE: the block unpack of `rtl/` for each scratchpad that they reach, and addresses."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tvm_vsq.hardware.components.component import Component
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.memories import LOADED, STORED
from tvm_vsq.hardware.units import Adder, Register, Selector, Shifter

_COUNT_BITS = 20  # entries of a piece
_ADDRESS_BITS = 32  # of a byte in DRAM
_LOOPS = 4  # y, x, z, and bursts of a piece


def transfer(hardware: HardwareConfig) -> Iterator[Component]:
    """What brings words of the bus to entries; STORE's way back, not in `rtl/`, is taken to be as large."""
    for memory in LOADED:
        bits, record = memory.entry_bits(hardware), memory.record_bytes(hardware)
        yield from _unpacking(hardware, bits, record, f"unpack_{memory.name}", f"LOAD's {memory.title}")
    second = hardware.formats.second.record_bits, hardware.second_record_bytes
    yield from _cutting(hardware, *second, "unpack_second", "LOAD's second operand")
    for memory in STORED:
        bits, record = memory.entry_bits(hardware), memory.record_bytes(hardware)
        yield from _unpacking(hardware, bits, record, "", f"STORE's {memory.title}")
    # LOAD and STORE: an adder and a register for each loop's address, and one that counts.
    yield Component("DMA addresses", Adder(2 * _LOOPS * _ADDRESS_BITS), 2, {}, "DMA")
    yield Component("DMA counters", Register(2 * _LOOPS * _ADDRESS_BITS), 2, {}, "DMA")


def _unpacking(
    hardware: HardwareConfig, bits: int, record: int, block: str, name: str
) -> Iterator[Component]:
    """Of entries of so many bits, which take so many bytes in DRAM."""
    bus = hardware.dram.bytes_per_cycle
    if record <= bus:
        yield from _cutting(hardware, bits, record, block, name)
        return
    yield from _aligning(bus, block, name)
    # Written by columns, word for word.
    counts = 2 * (record // math.gcd(bus, record)).bit_length()
    yield Component(f"{name} registers", Register(16 * bus + _COUNT_BITS + counts), 1, {}, "DMA", block)
    yield Component(f"{name} rest", Selector(8 * bus + _COUNT_BITS + counts), 1, {}, "DMA", block)
    yield Component(f"{name} counting", Adder(_COUNT_BITS + 2 * counts), 1, {}, "DMA", block)


def _aligning(bus: int, block: str, name: str) -> Iterator[Component]:
    aligned = sum(8 * (bus + (1 << level)) for level in range((bus - 1).bit_length()))
    yield Component(f"{name} alignment", Shifter(aligned, 1), 1, {}, "DMA", block)


def _cutting(hardware: HardwareConfig, bits: int, record: int, block: str, name: str) -> Iterator[Component]:
    """Whole records, several of which may end in a word."""
    bus = hardware.dram.bytes_per_cycle
    step = math.gcd(bus, record)
    yield from _aligning(bus, block, name)
    entries = (record - step + bus) // record
    held = record - step  # bytes
    room = max(held + bus, record * entries)
    registers = 8 * (bus + held) + entries * (bits + 1) + 2 * _COUNT_BITS
    yield Component(f"{name} registers", Register(registers), 1, {}, "DMA", block)
    levels = max(1, record // step - 1).bit_length() if held else 0
    placed = sum(8 * min(room, bus + step * ((2 << level) - 1)) for level in range(levels))
    yield Component(f"{name} placing", Shifter(placed, 1), 1, {}, "DMA", block)
    # What stays for the next word is cut off behind each entry; what is held is kept where no word comes.
    kept = 8 * (entries * held + held + bus) + 2 * entries * _COUNT_BITS
    yield Component(f"{name} rest", Selector(kept), 1, {}, "DMA", block)
    yield Component(f"{name} counting", Adder(entries * _COUNT_BITS), 1, {}, "DMA", block)
