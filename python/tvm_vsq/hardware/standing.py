"""Energy that goes because time passes: leakage, the clock, a DRAM that waits (docs/energy.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from tvm_vsq.hardware.area import macros_of
from tvm_vsq.hardware.components import components
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.gates import load_gates
from tvm_vsq.hardware.technology import Technology
from tvm_vsq.hardware.units import Register, Sram

STANDING = ("leakage", "clock", "DRAM idle", "DRAM refresh")

# The engines that clock the flip-flops of a group; the others are clocked always. What enters a window and
# what is read there is an access to a small memory (components/window.py), so that its clock is not again.
_CLOCKED_BY = {
    "MACs": ("compute",),
    "scale units": ("compute",),
    "accumulators": ("compute",),
    "windows": (),
    "PPU": ("ppu",),
    "vector unit": ("vector",),
    "DMA": ("load", "store"),
}


@dataclass(frozen=True)
class Standing:
    """leakage_mw: of all cells and memories. clock_pj: of a cycle, by the engine that works; "": of all."""

    leakage_mw: float
    clock_pj: Mapping[str, float]


def standing_pj(
    hardware: HardwareConfig, technology: Technology, cycles: int, busy: Mapping[str, int]
) -> dict[str, float]:
    """pJ of so many cycles for each of STANDING, 0 where the technology has no number.

    busy: cycles in which each engine works. The clock of what does not work is gated: flip-flops of the
    array, PPU, vector unit and DMA take theirs in the cycles of their engines.
    """
    standing, dram = _standing(hardware, technology), technology.dram_access
    nanoseconds = 1e3 * cycles / hardware.clock_mhz
    gib = hardware.dram.capacity_mib / 1024
    clock = sum(pj * (busy.get(engine, 0) if engine else cycles) for engine, pj in standing.clock_pj.items())
    powers = (standing.leakage_mw, dram.idle_mw_per_gib * gib, dram.refresh_mw_per_gib * gib)
    leakage, idle, refresh = (power * nanoseconds for power in powers)  # mW times ns are pJ
    return dict(zip(STANDING, (leakage, clock, idle, refresh), strict=True))


@lru_cache(maxsize=64)
def _standing(hardware: HardwareConfig, technology: Technology) -> Standing:
    logic, macros = technology.logic, technology.sram_macros
    leakage, clock = 0.0, dict.fromkeys(("", *(e for engines in _CLOCKED_BY.values() for e in engines)), 0.0)
    if logic is None:
        return Standing(leakage, clock)
    # Of cells without memories, or the other way round, it would be half a figure.
    leaks = macros is not None and logic.leakage_mw_per_mm2 > 0
    for component in components(hardware):
        unit = component.unit
        if isinstance(unit, Sram):
            if macros is not None and leaks:
                count, kib = macros_of(unit, macros)
                leakage += component.count * count * macros.leakage_mw(kib, unit.reads, unit.writes)
        else:
            cells_mm2 = component.count * load_gates(logic.gates).of(unit) * logic.gate_um2 * 1e-6
            leakage += leaks * cells_mm2 * logic.leakage_mw_per_mm2
            if isinstance(unit, Register):
                engines = _CLOCKED_BY.get(component.group, ("",))
                for engine in engines:
                    clock[engine] += component.count * unit.bits * logic.flip_flop_pj / len(engines)
    return Standing(leakage, clock)
