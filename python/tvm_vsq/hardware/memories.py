"""The scratchpads, each declared once: fields of a description, depths, events and instruction fields follow.

Which instruction reads or writes one is said where the instruction is declared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tvm_vsq.hardware.config import HardwareConfig

MAX_BANKS = 64
_INDEXED = (("acc",), ("inp", "acc"), ("wgt",))  # what each index of a micro-op is of
PARAMETER_BITS = {"mult": 16, "shift": 8, "bias": 32, "clip": 32}
"""Widths of the fields with which one channel is post-processed, in their order."""
NEGATIVE = 1 << 7
"""In the field `shift`: the multiplier is negative."""
_WIDE_BITS = 32  # of an accumulator in DRAM


@dataclass(frozen=True)
class Memory:
    """A scratchpad.

    title: what messages call it. holds: what its entries are. max_kib: the largest that a description may ask
    for. readers, writers: the engines that read and write it, each by a port of its own on every bank.
    entry_bits: of one entry on the chip. dram_bits: of one entry in DRAM, if it has another form there.
    load_code, store_code: its number in the `mem` field of LOAD and STORE, None if they do not reach it.
    """

    name: str
    title: str
    holds: str
    max_kib: int
    readers: tuple[str, ...]
    writers: tuple[str, ...]
    entry_bits: Callable[[HardwareConfig], int]
    dram_bits: Callable[[HardwareConfig], int] | None = None
    load_code: int | None = None
    store_code: int | None = None

    @property
    def kib_field(self) -> str:
        """The key of its size in a description."""
        return f"{self.name}_kib"

    @property
    def read_event(self) -> str:
        """The event that counts the bits read from it."""
        return f"{self.name}_read_bits"

    @property
    def write_event(self) -> str:
        """The event that counts the bits written to it."""
        return f"{self.name}_write_bits"

    def kib(self, hardware: HardwareConfig) -> int:
        """Its size in `hardware`."""
        return int(getattr(hardware.scratchpads, self.kib_field))

    def banks(self, hardware: HardwareConfig) -> int:
        """Its banks in `hardware`."""
        return int(getattr(hardware.scratchpads.banks, self.name))

    def depth(self, hardware: HardwareConfig) -> int:
        """Entries that it holds."""
        return self.kib(hardware) * 8192 // self.entry_bits(hardware)

    def record_bytes(self, hardware: HardwareConfig) -> int:
        """DRAM bytes of one entry: whole ones."""
        bits = self.dram_bits or self.entry_bits
        return -(-bits(hardware) // 8)


def index_width(entries: int) -> int:
    """Bits of an index into `entries` entries."""
    return max(1, (entries - 1).bit_length())


def _activation_bits(hardware: HardwareConfig) -> int:
    return hardware.formats.activation.record_bits


def _micro_op_bits(hardware: HardwareConfig) -> int:
    depths = {memory.name: memory.depth(hardware) for memory in MEMORIES if memory.name != "uop"}
    return sum(index_width(max(depths[name] for name in names)) for names in _INDEXED)


# In the order of their events. The codes are part of the instruction encoding.
MEMORIES = (
    Memory(
        "uop", "micro-op", "micro-ops", 1024, ("compute", "vector"), ("load",), _micro_op_bits, load_code=0
    ),
    Memory(
        "inp",
        "input",
        "activation vectors with their scales, and residuals",
        16384,
        ("compute", "vector", "ppu"),
        ("load",),
        _activation_bits,
        load_code=1,
    ),
    Memory(
        "wgt",
        "weight",
        "weight blocks (output_lanes vectors) with their scales",
        16384,
        ("compute",),
        ("load",),
        lambda hardware: hardware.output_lanes * hardware.formats.weight.record_bits,
        load_code=2,
    ),
    Memory(
        "acc",
        "accumulator",
        "accumulator blocks (output_lanes accumulators)",
        16384,
        ("compute", "vector", "ppu", "store"),
        ("load", "compute", "vector", "ppu"),
        lambda hardware: hardware.output_lanes * hardware.accumulator_bits,
        dram_bits=lambda hardware: hardware.output_lanes * _WIDE_BITS,
        load_code=4,
        store_code=1,
    ),
    Memory(
        "par",
        "parameter",
        "per-channel post-processing parameters",
        1024,
        ("ppu", "vector"),
        ("load",),
        lambda hardware: hardware.output_lanes * sum(PARAMETER_BITS.values()),
        load_code=3,
    ),
    Memory(
        "out",
        "output",
        "requantized output vectors with their scales",
        16384,
        ("store",),
        ("ppu",),
        _activation_bits,
        store_code=0,
    ),
)


SCRATCHPADS = tuple(memory.name for memory in MEMORIES)

LOADED = tuple(sorted((m for m in MEMORIES if m.load_code is not None), key=attrgetter("load_code")))
"""The memories that LOAD fills, by their codes."""

STORED = tuple(sorted((m for m in MEMORIES if m.store_code is not None), key=attrgetter("store_code")))
"""The memories that STORE reads, by their codes."""
