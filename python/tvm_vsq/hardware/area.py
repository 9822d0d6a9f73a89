"""What an accelerator takes on a chip: components times what their parts and macros take (docs/area.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware.components import GROUPS, Component, components
from tvm_vsq.hardware.config import HardwareConfig
from tvm_vsq.hardware.gates import load_gates
from tvm_vsq.hardware.pipeline import check_pipelines
from tvm_vsq.hardware.technology import Logic, Macros, Technology
from tvm_vsq.hardware.units import Sram

SYNTHESISED, ESTIMATED, MEMORY = "synthesised", "estimated", "memory"


@dataclass(frozen=True)
class AreaRow:
    """All units of a component.

    basis: SYNTHESISED, as a part of a block of rtl/ that the coefficients were fitted to; ESTIMATED, the same
    coefficients for what is not in rtl/; MEMORY, macros. gates: gate equivalents, 0 for a memory.
    """

    component: str
    group: str
    basis: str
    gates: float
    mm2: float


@dataclass(frozen=True)
class Area:
    """Areas of an accelerator's components, without DRAM, pads, clock tree and what a chip needs besides."""

    hardware: str
    technology: str
    rows: tuple[AreaRow, ...]

    @property
    def mm2(self) -> float:
        """Of everything."""
        return sum(row.mm2 for row in self.rows)

    @property
    def logic_mm2(self) -> float:
        """Of everything but memories."""
        return sum(row.mm2 for row in self.rows if row.basis != MEMORY)

    def by_group(self) -> dict[str, float]:
        """mm2 of each group of components, without those that are not there."""
        sums = {group: sum(row.mm2 for row in self.rows if row.group == group) for group in GROUPS}
        return {group: mm2 for group, mm2 in sums.items() if mm2}


def area_of(hardware: HardwareConfig, technology: Technology) -> Area:
    """As `HardwareConfig.area`."""
    if technology.logic is None or technology.sram_macros is None:
        raise ConfigError(
            f"technology {technology.name} has no areas; give it `logic` and `sram_macros` as in "
            f"{Technology.example}"
        )
    check_pipelines(hardware)
    try:
        rows = [_row(each, technology.logic, technology.sram_macros) for each in components(hardware)]
    except ConfigError as error:
        raise ConfigError(f"technology {technology.name}: {error}") from None
    return Area(hardware.label, technology.name, tuple(row for row in rows if row.mm2))


def _row(component: Component, logic: Logic, macros: Macros) -> AreaRow:
    if isinstance(component.unit, Sram):
        mm2 = component.count * memory_mm2(component.unit, macros)
        return AreaRow(component.name, component.group, MEMORY, 0.0, mm2)
    gates = component.count * load_gates(logic.gates).of(component.unit)
    basis = SYNTHESISED if component.block else ESTIMATED
    mm2 = gates * logic.gate_um2 / logic.utilization * 1e-6
    return AreaRow(component.name, component.group, basis, gates, mm2)


def memory_mm2(memory: Sram, macros: Macros) -> float:
    """Area of all macros of a memory."""
    count, kib = macros_of(memory, macros)
    return count * macros.area_mm2(kib, memory.reads, memory.writes)


def macros_of(memory: Sram, macros: Macros) -> tuple[float, float]:
    """How many, and of how many KiB each: in every bank side by side, as many as its entries are wide."""
    side_by_side = max(1.0, memory.entry_bits / macros.bits)
    return memory.banks * side_by_side, memory.kib / memory.banks / side_by_side


def compared(area: Area, baseline: Area) -> Mapping[str, float]:
    """Ratios of `area` to `baseline`: of all, of the logic, and of the array with its scale units."""
    array = ("MACs", "scale units", "accumulators")

    def of(which: Area) -> float:
        return sum(row.mm2 for row in which.rows if row.group in array)

    return {
        "all": area.mm2 / baseline.mm2,
        "logic": area.logic_mm2 / baseline.logic_mm2,
        "array": of(area) / of(baseline),
    }
