"""Layers whose operands have more bits than the array: vectors are a record for each digit, side by side."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields, replace

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule.access import Axis, Dim, Operand
from tvm_vsq.schedule.gemm import MultiplyAccumulate
from tvm_vsq.schedule.nest import LoopNest
from tvm_vsq.schedule.workload import Extension, Workload

PASSES = {"inp": "dx", "wgt": "dw"}
"""The dimensions over the digits of the operands of a product: a pass of the array for each pair."""


@dataclass(frozen=True)
class Digits:
    """Records of a vector of each operand."""

    inp: int = 1
    wgt: int = 1
    other: int = 1
    res: int = 1
    out: int = 1

    @property
    def any(self) -> bool:
        """Whether an operand has more than one."""
        return any(count > 1 for count in astuple(self))

    @property
    def text(self) -> str:
        """For keys, such as "inp2wgt2"."""
        counts = {field.name: getattr(self, field.name) for field in fields(self)}
        return "".join(f"{name}{count}" for name, count in counts.items() if count > 1)


@dataclass(frozen=True)
class WithDigits(Extension):
    """`work` on operands of so many digits."""

    digits: Digits

    @property
    def key(self) -> str:
        """Stable text for tuning databases."""
        return f"{self.work.key}-digits-{self.digits.text}"

    def nest(self, hardware: HardwareConfig) -> LoopNest:
        """That of `work`, whose operands have digits as their last axis, but filters of depthwise
        convolutions before it; products have a reduced dimension over those of either side, too.
        """
        nest = self.work.nest(hardware)
        passes: list[Dim] = []
        operands: list[Operand] = []
        for operand in nest.operands:
            count = getattr(self.digits, operand.name, 1)
            if count > 1:
                axis, at = Axis(count), len(operand.axes)
                if isinstance(nest.body, MultiplyAccumulate) and operand.name in PASSES:
                    passes.append(Dim(PASSES[operand.name], count, reduced=True))
                    axis = Axis.along(passes[-1])
                elif operand.name == "wgt":
                    at -= 1  # the vectors of a filter lie side by side
                axes = (*operand.axes[:at], axis, *operand.axes[at:])
                operand = replace(operand, axes=axes, digits=count)
            operands.append(operand)
        return replace(nest, dims=(*nest.dims, *passes), operands=tuple(operands))

    def text(self, channels: tuple[int, int], hardware: HardwareConfig) -> str:
        """As of `work`, with passes where there are several."""
        passes = self.digits.inp * self.digits.wgt
        text = super().text(channels, hardware)
        return f"{text} in {passes} passes" if self.work.macs(channels) and passes > 1 else text

    def macs(self, channels: tuple[int, int]) -> int:
        """Those of all passes."""
        return super().macs(channels) * self.digits.inp * self.digits.wgt


def with_digits(work: Workload, digits: Digits) -> Workload:
    """`work`, on operands of so many digits."""
    return WithDigits(work, digits) if digits.any else work


def without_digits(work: Workload) -> Workload:
    """What `with_digits` was given."""
    return work.work if isinstance(work, WithDigits) else work
