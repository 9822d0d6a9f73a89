"""How deep the units' pipelines are: as many cycles as the simulator's constants say (docs/rtl.md)."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware import HardwareConfig

_READ = _WRITE = 1
_MULTIPLY = 2  # cycles of the PPU's product, where there is room for them


@dataclass(frozen=True)
class Pipelines:
    """Registers of an accelerator's units.

    tree_levels: the levels of the array's adder tree that a register follows, from 0. multiply_cycles,
    divide_cycles: of the PPU. vector_blocks: accumulator blocks of a vector, for which the PPU waits.
    """

    tree_levels: tuple[int, ...]
    multiply_cycles: int
    divide_cycles: int
    vector_blocks: int

    @property
    def tree_registers(self) -> int:
        """`tree_levels` as a bit for each level."""
        return sum(1 << level for level in self.tree_levels)


def pipelines(hardware: HardwareConfig) -> Pipelines:
    """What the `*_pipeline_cycles` of `hardware` make of its units.

    Raises ConfigError for a constant that its stages do not fit into.
    """
    formats, timing = hardware.formats, hardware.timing
    levels = hardware.vector_size.bit_length() - 1
    tree = timing.gemm_pipeline_cycles - _least(
        "gemm", hardware, _READ + 3, "read, multiply, scale, accumulate"
    )
    cycles = min(levels, tree)
    _least("vector", hardware, 6, "read, unpack, table, multiply, add, write")
    blocks = hardware.group_blocks
    scaled = formats.activation.scale_bits is not None
    stages = "read, multiply, shift, add, " + (f"maximum of {blocks}, scale, divide" if scaled else "round")
    fixed = _READ + 2 + (blocks + 1 if scaled else 1) + _WRITE  # shift and add; maximum and scale, or round
    least = _least("ppu", hardware, fixed + 1 + scaled, f"{stages}, write")
    spare = timing.ppu_pipeline_cycles - least
    multiply = min(_MULTIPLY, 1 + spare)
    divide = min(formats.activation.bits, timing.ppu_pipeline_cycles - fixed - multiply) if scaled else 0
    return Pipelines(
        tuple(-(-(k + 1) * levels // cycles) - 1 for k in range(cycles)),
        multiply,
        divide,
        blocks if scaled else 1,
    )


def _least(unit: str, hardware: HardwareConfig, least: int, stages: str) -> int:
    key = f"{unit}_pipeline_cycles"
    cycles = getattr(hardware.timing, key)
    if cycles < least:
        raise ConfigError(
            f"{hardware.label}: timing.{key}={cycles} is too short for {stages}; set it to {least} or more"
        )
    return least
