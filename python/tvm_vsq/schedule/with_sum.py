"""A layer to whose wide results other numbers of 32 bits are added where they are, before they are stored."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.access import Operand
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.schedule.postprocess import PostProcess
from tvm_vsq.schedule.workload import Extension


@dataclass(frozen=True)
class WithSum(Extension):
    """`work`, whose results are added to "other"; scaled: whether the PPU takes the sum once more."""

    scaled: bool

    @property
    def key(self) -> str:
        """Stable text for tuning databases."""
        return f"{self.work.key}+sum{'-scaled' if self.scaled else ''}"

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """That of `work`, in the same tiles, with "other" and, for the sum, parameters "par2"."""
        nest = self.work.nest(hardware)
        added = [Operand("other", "acc", nest.acc.axes, single=True)]
        if self.scaled:
            added.append(replace(nest.operand["par"], name="par2", title="parameters of sums"))
        return replace(nest, operands=(*nest.operands, *added), finish=PostProcess(adds=True))
