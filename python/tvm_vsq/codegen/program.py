"""A finished program, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import decode_all, disassemble

Descriptor = tuple[int, int, int, int, int]
"""(kind, DRAM offset, rows, lanes, signed); kind 0 is a vector tensor, kind 1 a wide one."""


@dataclass(frozen=True)
class LayerRecord:
    """What reports say about a layer.

    `channels` of its input and output, and `padded_channels` with those that fill up vectors, blocks and
    groups of blocks, which the array computes too. `macs` are useful multiply-accumulates per run, `knobs`
    the schedule.
    """

    program: str
    name: str
    op: str
    shape: str
    channels: tuple[int, int]
    padded_channels: tuple[int, int]
    macs: int
    knobs: dict[str, Any]
    tuned: bool


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
    dram_bytes: int
    inputs: tuple[Descriptor, ...]
    outputs: tuple[Descriptor, ...]
    layers: tuple[LayerRecord, ...]

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
            "inputs": [list(row) for row in self.inputs],
            "outputs": [list(row) for row in self.outputs],
        }
