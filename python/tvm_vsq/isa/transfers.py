"""What the instructions of a program move between DRAM and scratchpads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa.codec import field_values, memories


def transfer_bytes(program: bytes, hardware: HardwareConfig) -> npt.NDArray[np.int64]:
    """DRAM bytes of the records that each LOAD and STORE moves, 0 of others; int64 [instructions].

    Without the borders, which lie in no DRAM, and without what bursts move besides.
    """
    kinds = memories(program)

    def both(field: str) -> npt.NDArray[np.int64]:
        values = (field_values(program, name, field, hardware) for name in ("LOAD", "STORE"))
        return sum(values, np.zeros(len(kinds), np.int64))

    record = np.zeros(len(kinds), np.int64)
    for memory, size in hardware.record_bytes.items():
        record[kinds == memory] = size
    gathers = field_values(program, "LOAD", "gather", hardware)
    second = field_values(program, "STORE", "second", hardware)
    record[(gathers | second) == 1] = hardware.second_record_bytes
    lanes = np.where(gathers, field_values(program, "LOAD", "lanes", hardware), 1)
    return both("x_size") * both("y_size") * both("z_size") * lanes * record
