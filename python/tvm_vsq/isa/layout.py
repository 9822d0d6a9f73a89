"""Bit positions of every field, for one hardware config."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware import HardwareConfig, index_width
from tvm_vsq.hardware.engines import INSTRUCTION_BITS
from tvm_vsq.isa.table import COMMON, INSTRUCTIONS, UOP_FIELDS, WIDTHS, Field


@dataclass(frozen=True)
class Slot:
    """Where one field sits: `shift` is its lowest bit, `width` its number of bits."""

    field: Field
    shift: int
    width: int

    @property
    def mask(self) -> int:
        """All bits of the field, at bit 0."""
        return (1 << self.width) - 1

    @property
    def limit(self) -> int:
        """Largest value that fits."""
        return self.field.bounds(self.width)[1]


@dataclass(frozen=True)
class Layout:
    """All bit positions of one hardware config.

    `slots[instruction][field]` and `uop[field]`; `uop_bytes` is the DRAM size of one micro-op.
    """

    slots: dict[str, dict[str, Slot]]
    uop: dict[str, Slot]
    uop_bytes: int

    def limit(self, instruction: str, field: str) -> int:
        """Largest value that `field` of `instruction` can hold."""
        return self.slots[instruction][field].limit


def widths(hardware: HardwareConfig) -> dict[str, int]:
    """The named field widths of a hardware config, in bits."""
    params = hardware.sim_params()
    return {width.name: max(index_width(params[depth]) for depth in width.depths) for width in WIDTHS}


def _place(fields: tuple[Field, ...], named: dict[str, int]) -> tuple[dict[str, Slot], int]:
    slots, shift = {}, 0
    for field in fields:
        width = field.width if isinstance(field.width, int) else named[field.width]
        slots[field.name] = Slot(field, shift, width)
        shift += width
    return slots, shift


@lru_cache(maxsize=64)
def layout_of(hardware: HardwareConfig) -> Layout:
    """Bit positions for `hardware`; ConfigError if an instruction needs more than INSTRUCTION_BITS."""
    named = widths(hardware)
    slots = {}
    for instruction in INSTRUCTIONS:
        slots[instruction.name], used = _place(COMMON + instruction.fields, named)
        if used > INSTRUCTION_BITS:
            derived = sorted({f.width for f in instruction.fields if isinstance(f.width, str)})
            sizes = ", ".join(f"{name}={named[name]}" for name in derived)
            raise ConfigError(
                f"{hardware.label}: {instruction.name} needs {used} bits of {INSTRUCTION_BITS} (index "
                f"widths {sizes}); "
                f"shrink a scratchpad or dram.capacity_mib"
            )
    uop, uop_bits = _place(UOP_FIELDS, named)
    return Layout(slots, uop, -(-uop_bits // 8))
