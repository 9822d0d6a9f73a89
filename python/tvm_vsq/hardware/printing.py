"""What a description of an accelerator prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tvm_vsq.hardware.memories import MEMORIES
from tvm_vsq.terminal import Column, Kind, Table

if TYPE_CHECKING:
    from tvm_vsq.hardware.config import HardwareConfig


def hardware_summary(hardware: HardwareConfig) -> str:
    """One line."""
    kib = sum(memory.kib(hardware) for memory in MEMORIES)
    return (
        f"{hardware.label} {hardware.built_for}: vectors of {hardware.vector_size}, "
        f"{hardware.macs_per_cycle} MACs a cycle at {hardware.clock_mhz} MHz, {kib} KiB of scratchpads, DRAM "
        f"of {hardware.dram.bytes_per_cycle} bytes a cycle"
    )


def hardware_parts(hardware: HardwareConfig) -> Iterator[Table | str]:
    """The summary, what the array takes, scratchpads, DRAM and timing."""
    yield hardware_summary(hardware)
    passes = hardware.precision_passes
    yield (
        f"accumulators of {hardware.accumulator_bits} bits, {hardware.product_bits} of a scale product; "
        + (f"wider elements in up to {passes} passes" if passes > 1 else "one pass for every element")
    )
    columns = (
        Column("scratchpad", kind=Kind.WORD),
        Column("holds", 3, Kind.TEXT),
        Column("KiB"),
        Column("banks", 2),
        Column("entries", 1),
        Column("bits an entry", 1),
    )
    rows = [
        (
            memory.name,
            memory.holds,
            str(memory.kib(hardware)),
            str(memory.banks(hardware)),
            f"{memory.depth(hardware):,}",
            f"{memory.entry_bits(hardware):,}",
        )
        for memory in MEMORIES
    ]
    yield Table("Scratchpads", columns, rows)
    for part in ("dram", "timing"):
        fields = getattr(hardware, part).model_dump()
        yield f"{part}: " + ", ".join(f"{name} {value}" for name, value in fields.items())
    yield f"technology: {hardware.technology}; .area() in mm2, .with_(field=value) for another one"
