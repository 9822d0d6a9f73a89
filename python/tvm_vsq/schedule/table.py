"""A layer whose results go through a function that the vector unit looks up in a table."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tvm_vsq.formats.table import TABLE_SEGMENTS
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.access import Axis, Operand
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.schedule.postprocess import PostProcess
from tvm_vsq.schedule.workload import Extension


@dataclass(frozen=True)
class WithTable(Extension):
    """`work`, with a table between two passes of the PPU."""

    @property
    def key(self) -> str:
        """Stable text for tuning databases."""
        return f"{self.work.key}-table"

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """That of `work`, with parameters "par2" for the values of the table, and its segments "tab"."""
        nest, entries = self.work.nest(hardware), -(-TABLE_SEGMENTS // hardware.output_lanes)
        values = replace(nest.operand["par"], name="par2", title="parameters of values")
        segments = Operand("tab", "par", (Axis(entries),), constant=True, resident=True, title="table")
        return replace(nest, operands=(*nest.operands, values, segments), finish=PostProcess(has_table=True))
