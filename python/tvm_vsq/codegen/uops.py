"""The micro-op scratchpad as a cache of micro-op lists."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tvm_vsq.codegen.step import Step
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import LOAD_MEMORIES, Insn, encode_uops, layout_of

REGION = "micro-ops"


@dataclass
class UopCache:
    """Lists of micro-ops, each in DRAM once and in the scratchpad while it lasts; space is reused in ring
    order.
    """

    hardware: HardwareConfig
    image: bytearray = field(default_factory=bytearray)
    _dram: dict[bytes, int] = field(default_factory=dict)
    _resident: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    _next: int = 0

    def __post_init__(self) -> None:
        self._depth = self.hardware.depths["uop"]
        self._record = self.hardware.record_bytes["uop"]
        self._limit = layout_of(self.hardware).limit
        self._burst = self._limit("LOAD", "z_size")

    def longest(self, instruction: str) -> int:
        """The longest list that one such instruction should have: half the scratchpad at most."""
        return min(self._limit(instruction, "uop_count"), max(1, self._depth // 2))

    def fetch(self, uops: npt.NDArray[np.int64], layer: int) -> tuple[int, list[Step]]:
        """First scratchpad entry of `uops` int64 [count, memories], and the LOADs that bring them there.

        `longest` says how many an instruction should have.
        """
        key = uops.tobytes()
        if key in self._resident:
            return self._resident[key][0], []
        begin = self._next if self._next + len(uops) <= self._depth else 0
        end = begin + len(uops)
        self._resident = {k: (a, b) for k, (a, b) in self._resident.items() if b <= begin or end <= a}
        self._resident[key] = (begin, end)
        self._next = end
        if key not in self._dram:
            self._dram[key] = len(self.image)
            self.image += encode_uops(uops, self.hardware)
        return begin, [self._load(key, begin, end, start, layer) for start in range(begin, end, self._burst)]

    def _load(self, key: bytes, begin: int, end: int, start: int, layer: int) -> Step:
        fields = {
            "mem": LOAD_MEMORIES.index("uop"),
            "sram_base": start,
            "dram_base": self._dram[key] + (start - begin) * self._record,
            "z_size": min(self._burst, end - start),
            "x_size": 1,
            "y_size": 1,
        }
        return Step(Insn("LOAD", fields), layer, writes=(("uop", begin, end),), region=REGION, constant=True)
