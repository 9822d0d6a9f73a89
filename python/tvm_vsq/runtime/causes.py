"""Why an inference takes its cycles: its critical path by what happens there, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.runtime.steps import STEPS
from tvm_vsq.runtime.timeline import ProgramTrace

if TYPE_CHECKING:
    from tvm_vsq.runtime.profile import LayerProfile

PADDING = "padding"
"""`Cause.data` of what the array does with zeros."""

# What lies in a scratchpad, in words of the network.
_HELD = {
    "uop": "micro-ops",
    "inp": "activations",
    "wgt": "weights",
    "acc": "32-bit activations",
    "par": "parameters",
    "out": "results",
}
_NAMED = 3
_OFTEN_READ = 1.2  # of `LayerProfile.dram_ratio`: data that are moved more than once


@dataclass(frozen=True)
class Cause:
    """Cycles of the critical path on which one thing happens, summed over the network.

    step: the kind of step, one of `STEPS`; for a calculation, its engine. data: what is moved, for a
    transfer; `PADDING` for the array's work on zeros that fill up channels; else "". share: of the
    inference's cycles, 0..1. layers: cycles by layer, most first.
    remedy: what makes it less, in words.
    """

    step: str
    data: str
    cycles: int
    share: float
    layers: Mapping[str, int]
    remedy: str

    def __str__(self) -> str:
        named = [f"'{name}' {cycles:,}" for name, cycles in list(self.layers.items())[:_NAMED]]
        others = len(self.layers) - _NAMED
        more = f" and {others} more layers" if others > 0 else ""
        return (
            f"{self.share:.0%} of cycles ({self.cycles:,}): {happens(self.step, self.data)}, in "
            f"{', '.join(named)}{more}. {self.remedy}"
        )


def causes_of(
    traces: Iterable[ProgramTrace], layers: Sequence[LayerProfile], hardware: HardwareConfig
) -> tuple[Cause, ...]:
    """All causes, most cycles first; they add up to the cycles of the inference.

    traces: of the programs, in the order of `layers`.
    """
    sums: dict[tuple[str, str], dict[str, int]] = {}
    rest = iter(layers)
    for trace in traces:
        own = [next(rest) for _ in trace.layer_names]
        for layer, steps in zip(own, trace.critical_data(), strict=True):
            for (step, memory), cycles in steps.items():
                for data, part in _divided(step, memory, cycles, layer):
                    found = sums.setdefault((step, data), {})
                    found[layer.name] = found.get(layer.name, 0) + part
    total = sum(sum(found.values()) for found in sums.values())
    by_name = {layer.name: layer for layer in layers}
    causes = []
    for (step, data), found in sums.items():
        cycles = sum(found.values())
        most = dict(sorted(found.items(), key=lambda pair: -pair[1]))
        named = [by_name[name] for name in list(most)[:_NAMED]]
        causes.append(Cause(step, data, cycles, cycles / total, most, _remedy(step, data, named, hardware)))
    return tuple(sorted(causes, key=lambda cause: -cause.cycles))


def _divided(step: str, memory: str, cycles: int, layer: LayerProfile) -> Iterable[tuple[str, int]]:
    """A step's cycles by what they are spent on."""
    if step == "DRAM transfer":
        yield _HELD[memory] if memory else "instructions", cycles
    elif step == "compute" and (lost := round(cycles * layer.padding)):
        yield PADDING, lost
        if cycles > lost:
            yield "", cycles - lost
    else:
        yield "", cycles


def happens(step: str, data: str) -> str:
    """`Cause.step` and `Cause.data` in words."""
    if data == PADDING:
        return "the array multiplies zeros that fill up channels"
    return STEPS[step].happens.format(data=data)


def _remedy(step: str, data: str, layers: Sequence[LayerProfile], hardware: HardwareConfig) -> str:
    """What lowers the cycles; names are keys of a target's description."""
    if data == PADDING:
        return (
            f"Smaller vector_size ({hardware.vector_size}) or output_lanes ({hardware.output_lanes}), or "
            "channels that are multiples of both, lower it"
        )
    remedy = STEPS[step].remedy.format(hardware=hardware)
    if step == "DRAM transfer":
        return _less_traffic(remedy, data, layers, hardware)
    if step == "compute":
        passes = ", formats that the array takes in one pass" if hardware.precision_passes > 1 else ""
        return f"{remedy}{passes} lower it"
    return remedy


def _less_traffic(more: str, data: str, layers: Sequence[LayerProfile], hardware: HardwareConfig) -> str:
    narrower = " or narrower formats" if data in ("weights", "activations", "results") else ""
    again = max((layer.dram_ratio for layer in layers), default=0.0)
    pad = {"weights": "wgt_kib", "activations": "inp_kib", "results": "out_kib"}.get(data)
    if pad is not None and again >= _OFTEN_READ:
        kib = getattr(hardware.scratchpads, pad)
        return (
            f"These layers move up to {again:.1f} times the least: a larger {pad} ({kib}) or a tuned "
            f"schedule may lower that. {more}{narrower} lower it"
        )
    return f"{more}{narrower} lower it"
