"""Scratchpads as TensorIR sees them: what one entry is."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.hardware.memories import MEMORIES

TITLES = {memory.name: memory.title for memory in MEMORIES if memory.name != "uop"}
"""What errors call the scratchpads of operands."""


@dataclass(frozen=True)
class Entry:
    """An entry is an array of `shape` and `dtype`; `dram_dtype` is that of its record in DRAM."""

    shape: tuple[int, ...]
    dtype: str
    dram_dtype: str


def entry_of(scratchpad: str, hardware: HardwareConfig) -> Entry:
    """Vectors have V elements and then their scale; parameters are mult, shift, bias and clip."""
    vector, lanes = hardware.vector_size + 1, hardware.output_lanes
    return {
        "inp": Entry((vector,), "int16", "int16"),
        "wgt": Entry((lanes, vector), "int16", "int16"),
        "acc": Entry((lanes,), "int64", "int32"),
        "par": Entry((lanes, 4), "int32", "int32"),
        "out": Entry((vector,), "int16", "int16"),
    }[scratchpad]
