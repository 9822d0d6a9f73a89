"""How deep the units' pipelines are: as many cycles as the simulator's constants say (docs/rtl.md)."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware.config import HardwareConfig

_ARRAY = {"read": 1, "multiply": 1, "scale": 1, "accumulate": 1}
_VECTOR = {"read": 1, "unpack": 1, "table": 1, "multiply": 1, "add": 1, "write": 1}
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
    """What the `*_pipeline_cycles` of `hardware` make of its units; the shortest if they are too short."""
    levels = hardware.vector_size.bit_length() - 1
    tree = min(levels, max(0, hardware.timing.gemm_pipeline_cycles - sum(_ARRAY.values())))
    spare = max(0, hardware.timing.ppu_pipeline_cycles - sum(_ppu(hardware).values()))
    multiply = min(_MULTIPLY, 1 + spare)
    scaled = hardware.formats.activation.scale_bits is not None
    divide = min(hardware.widest_activation_bits, 1 + spare - (multiply - 1)) if scaled else 0
    return Pipelines(
        tuple(-(-(k + 1) * levels // tree) - 1 for k in range(tree)),
        multiply,
        divide,
        hardware.group_blocks if scaled else 1,
    )


def check_pipelines(hardware: HardwareConfig) -> None:
    """Raise ConfigError for a constant that the stages of its unit do not fit into."""
    units = {"gemm": _ARRAY, "vector": _VECTOR, "ppu": _ppu(hardware)}
    for unit, stages in units.items():
        key, least = f"{unit}_pipeline_cycles", sum(stages.values())
        if (cycles := getattr(hardware.timing, key)) < least:
            names = ", ".join(name if count == 1 else f"{name} ({count})" for name, count in stages.items())
            raise ConfigError(
                f"{hardware.label}: timing.{key}={cycles} is too short for {names}; set it to {least} or more"
            )


def _ppu(hardware: HardwareConfig) -> dict[str, int]:
    """The least cycles of each stage of the PPU."""
    scaled = hardware.formats.activation.scale_bits is not None
    quantizing = {"maximum": hardware.group_blocks, "scale": 1, "divide": 1} if scaled else {"round": 1}
    return {"read": 1, "multiply": 1, "shift": 1, "add": 1, **quantizing, "write": 1}
