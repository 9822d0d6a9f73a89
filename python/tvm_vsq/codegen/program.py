"""A finished program, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import decode_all, disassemble


class Descriptor(NamedTuple):
    """An input or output; kind 0 is a vector tensor, kind 1 a wide one, kind 2 one of second operands.

    rows: of the host's array, whose vectors hold whole elements. bits, scale_bits, digits: width of elements
    and scales (0: scales are 1), and records of a vector; bits 0 stands for the kind's own form, of one.
    """

    kind: int
    dram_offset: int
    rows: int
    lanes: int
    signed: int
    bits: int = 0
    scale_bits: int = 0
    digits: int = 1

    def to_native(self) -> list[int]:
        """The row that tvm_vsq.create_module takes: five integers for the kind's own form."""
        return list(self) if self.bits else list(self)[:5]


@dataclass(frozen=True)
class LayerRecord:
    """What reports say about a layer.

    `channels` of its input and output, and `padded_channels` with those that fill up vectors, blocks and
    groups of blocks, which the array computes too. `macs` are useful multiply-accumulates per run, `knobs`
    the schedule. `minimum_dram_bytes` is what every schedule has to move.
    """

    program: str
    name: str
    op: str
    shape: str
    channels: tuple[int, int]
    padded_channels: tuple[int, int]
    macs: int
    minimum_dram_bytes: int
    knobs: dict[str, Any]
    tuned: bool


@dataclass(frozen=True)
class ProgramRecord:
    """What reports say about a program: its DRAM, in bytes of whole bursts.

    That is its constants, its micro-ops and the arena, in which inputs, results and what lies between layers
    share `arena_bytes`; apart from each other they would take `separate_bytes`. What every schedule has to
    move even if nothing between layers left the chip is `on_chip_minimum_dram_bytes`.
    """

    name: str
    constant_bytes: int
    micro_op_bytes: int
    arena_bytes: int
    separate_bytes: int
    on_chip_minimum_dram_bytes: int


@dataclass(frozen=True)
class Program:
    """Instructions with the layer of each, the initial DRAM content, and where inputs and outputs lie in
    DRAM.

    `layer_ids` has one index into `layer_names` per instruction.
    """

    name: str
    hardware: HardwareConfig
    instructions: bytes
    layer_ids: tuple[int, ...]
    layer_names: tuple[str, ...]
    image: bytes
    record: ProgramRecord
    inputs: tuple[Descriptor, ...]
    outputs: tuple[Descriptor, ...]
    layers: tuple[LayerRecord, ...]

    @property
    def dram_bytes(self) -> int:
        """All DRAM that it takes."""
        return self.record.constant_bytes + self.record.micro_op_bytes + self.record.arena_bytes

    def __len__(self) -> int:
        return len(self.layer_ids)

    def disassemble(self) -> str:
        """One line per instruction: text, index, and the layer it came from."""
        insns = decode_all(self.instructions, self.hardware)
        lines = [f"# program {self.name}: {len(insns)} instructions"]
        for index, (insn, layer) in enumerate(zip(insns, self.layer_ids, strict=True)):
            lines.append(f"{disassemble(insn)}  # {index} {self.layer_names[layer]}")
        return "\n".join(lines) + "\n"

    def to_native(self) -> dict[str, Any]:
        """The mapping that tvm_vsq.create_module takes."""
        return {
            "name": self.name,
            "instructions": self.instructions,
            "layer_ids": np.array(self.layer_ids, dtype="<u4").tobytes(),
            "layer_names": list(self.layer_names),
            "image": self.image,
            "dram_bytes": self.dram_bytes,
            "inputs": [row.to_native() for row in self.inputs],
            "outputs": [row.to_native() for row in self.outputs],
        }
