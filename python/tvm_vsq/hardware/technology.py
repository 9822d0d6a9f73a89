"""What one operation costs in a process technology, each number with its source."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

from tvm_vsq.errors import ConfigError, shown
from tvm_vsq.frozen import Frozen
from tvm_vsq.hardware.reading import read_mapping, targets_directory

Picojoules = Annotated[float, Field(ge=1e-9, le=1e9, allow_inf_nan=False)]
Source = Annotated[str, Field(min_length=1, description="where the numbers are printed")]


class WidthPoint(Frozen):
    """Energy of an arithmetic operation on operands of `bits` bits."""

    bits: int = Field(ge=1, le=1024)
    pj: Picojoules


class CapacityPoint(Frozen):
    """Energy of one access to a memory of `kib` KiB."""

    kib: float = Field(gt=0, le=1 << 20, allow_inf_nan=False)
    pj: Picojoules


_STEEPEST = 4  # power of the size; multipliers have 2, and what lies beyond the points is extrapolated


def _check_rising(pairs: Sequence[tuple[float, float]], what: str, unit: str) -> None:
    for (size, value), (next_size, next_value) in pairwise(pairs):
        both = f"({next_size:g}, {next_value:g} {unit}) follows ({size:g}, {value:g} {unit})"
        if next_size <= size or next_value <= value:
            raise ValueError(
                f"size and {what} must rise from point to point, but {both}; sort the points or correct "
                "the numbers"
            )
        if next_value / value > (next_size / size) ** _STEEPEST:
            raise ValueError(
                f"{what} must rise by at most the {_STEEPEST}th power of the size, but {both}; correct "
                "the numbers"
            )


def _rising(
    points: tuple[WidthPoint, ...] | tuple[CapacityPoint, ...],
) -> tuple[WidthPoint | CapacityPoint, ...]:
    pairs = [(point.bits if isinstance(point, WidthPoint) else point.kib, point.pj) for point in points]
    _check_rising(pairs, "energy", "pJ")
    return points


class Arithmetic(Frozen):
    """An operation by operand width, at least two points with rising widths and energies."""

    points: Annotated[tuple[WidthPoint, ...], Field(min_length=2, strict=False), AfterValidator(_rising)]
    source: Source

    def pj(self, bits: float) -> float:
        """Energy in pJ for operands of `bits` bits, by the power law through the neighbouring points."""
        return power_law([(point.bits, point.pj) for point in self.points], bits)


class SramAccess(Frozen):
    """An on-chip memory by capacity; one access moves `access_bits` bits."""

    access_bits: int = Field(ge=1, le=4096)
    points: Annotated[tuple[CapacityPoint, ...], Field(min_length=2, strict=False), AfterValidator(_rising)]
    source: Source

    def pj(self, kib: float) -> float:
        """Energy in pJ of one access, by the power law through the neighbouring points."""
        return power_law([(point.kib, point.pj) for point in self.points], kib)


class DramAccess(Frozen):
    """External memory; one access moves `access_bits` bits.

    write_pj: of a write, if it is not `pj`. idle_mw_per_gib, refresh_mw_per_gib: power of a GiB that waits,
    and of its refresh, 0 if the source has none.
    """

    access_bits: int = Field(ge=1, le=4096)
    pj: Picojoules
    write_pj: Picojoules | None = None
    idle_mw_per_gib: float = Field(default=0.0, ge=0, le=1e6, allow_inf_nan=False)
    refresh_mw_per_gib: float = Field(default=0.0, ge=0, le=1e6, allow_inf_nan=False)
    source: Source


class DramKind(DramAccess):
    """A kind of DRAM, in place of the one that a technology names."""

    example = "target_configs/technology/dram/lpddr4-3200.yaml"

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")


def _known_gates(name: str) -> str:
    known = _names(_directory() / "gates")
    if name not in known:
        raise ValueError(f"unknown coefficients {shown(name)}; known are {', '.join(known)}")
    return name


class Logic(Frozen):
    """Standard cells.

    gate_um2: area of a two-input NAND. utilization: the part of its area that logic fills with cells. gates:
    of target_configs/technology/gates, what parts of units take. leakage_mw_per_mm2: of cells, without what
    is between them. flip_flop_pj: of a clock, at a flip-flop whose data stay; register_pj: what new data add
    to that, of which half are as before. All three are 0 without a source.
    highest_mhz: the fastest clock at which `rtl/` is known to meet timing (docs/area.md), None if it is not.
    """

    gate_um2: float = Field(ge=1e-6, le=1000, allow_inf_nan=False)
    utilization: float = Field(ge=0.01, le=1, allow_inf_nan=False)
    gates: Annotated[str, AfterValidator(_known_gates)]
    leakage_mw_per_mm2: float = Field(default=0.0, ge=0, le=1e6, allow_inf_nan=False)
    flip_flop_pj: float = Field(default=0.0, ge=0, le=1e3, allow_inf_nan=False)
    register_pj: float = Field(default=0.0, ge=0, le=1e3, allow_inf_nan=False)
    highest_mhz: float | None = Field(default=None, gt=0, le=1e5, allow_inf_nan=False)
    source: Source


class MacroPoint(Frozen):
    """A memory macro of `kib` KiB."""

    kib: float = Field(gt=0, le=1 << 20, allow_inf_nan=False)
    area_mm2: float = Field(ge=1e-9, le=1e4, allow_inf_nan=False)
    leakage_mw: float = Field(ge=1e-12, le=1e6, allow_inf_nan=False)


def _larger(points: tuple[MacroPoint, ...]) -> tuple[MacroPoint, ...]:
    _check_rising([(point.kib, point.area_mm2) for point in points], "area_mm2", "mm2")
    _check_rising([(point.kib, point.leakage_mw) for point in points], "leakage_mw", "mW")
    return points


class Ported(Frozen):
    """Macros with these ports, such as 2r1w: two that read and one that writes."""

    ports: str = Field(pattern=r"^[1-9]r[1-9]w$")
    points: Annotated[tuple[MacroPoint, ...], Field(min_length=2, strict=False), AfterValidator(_larger)]


def _different(macros: tuple[Ported, ...]) -> tuple[Ported, ...]:
    names = [ported.ports for ported in macros]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is there {names.count(name)} times; give all its points in one place")
    return macros


class Macros(Frozen):
    """Memory macros `bits` wide, by their ports."""

    bits: int = Field(ge=1, le=4096)
    macros: Annotated[tuple[Ported, ...], Field(min_length=1, strict=False), AfterValidator(_different)]
    source: Source

    def area_mm2(self, kib: float, reads: int, writes: int) -> float:
        """Area of a macro, by the power law through the neighbouring points.

        Raises ConfigError if there are none with these ports.
        """
        return power_law([(point.kib, point.area_mm2) for point in self._of(reads, writes)], kib)

    def leakage_mw(self, kib: float, reads: int, writes: int) -> float:
        """Leakage of a macro, likewise."""
        return power_law([(point.kib, point.leakage_mw) for point in self._of(reads, writes)], kib)

    def _of(self, reads: int, writes: int) -> tuple[MacroPoint, ...]:
        name, known = f"{reads}r{writes}w", {ported.ports: ported.points for ported in self.macros}
        if name not in known:
            raise ConfigError(f"sram_macros has {', '.join(known)}; a memory of {name} is needed: add it")
        return known[name]


class Technology(Frozen):
    """A process technology: energies in pJ per operation or access, and, if it says them, areas.

    process_nm, supply_v: what the numbers are of; nothing is scaled by them.
    """

    example = "target_configs/technology/open-45nm.yaml"

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    process_nm: int = Field(ge=1, le=1000)
    supply_v: float = Field(gt=0, le=10, allow_inf_nan=False)
    integer_add: Arithmetic
    integer_multiply: Arithmetic
    sram_access: SramAccess
    dram_access: DramAccess
    logic: Logic | None = None
    sram_macros: Macros | None = None


def power_law(points: Sequence[tuple[float, float]], x: float) -> float:
    """Interpolate linearly in log-log space; beyond the ends the first or last segment goes on.

    points: (x, y) pairs, at least two, with rising x and all values positive.
    """
    segment = 1
    while segment < len(points) - 1 and x > points[segment][0]:
        segment += 1
    (x0, y0), (x1, y1) = points[segment - 1], points[segment]
    exponent = math.log(y1 / y0) / math.log(x1 / x0)
    return y0 * math.pow(x / x0, exponent)


def list_technologies() -> list[str]:
    """Names of the shipped technology files, sorted."""
    return _names(_directory())


def list_drams() -> list[str]:
    """Names of the shipped kinds of DRAM, sorted."""
    return _names(_directory() / "dram")


def load_technology(technology: str | os.PathLike[str] | Technology) -> Technology:
    """Resolve `technology`: a Technology, the name of a shipped one, or the path of a YAML file.

    Raises ConfigError if the name is unknown, the file cannot be read, or its content is refused.
    """
    return _load(technology, Technology, _directory())


def load_dram(dram: str | os.PathLike[str] | DramKind) -> DramKind:
    """Resolve `dram` likewise: a DramKind, a name, or a path."""
    return _load(dram, DramKind, _directory() / "dram")


def with_dram(technology: Technology, dram: str | os.PathLike[str] | DramKind | None) -> Technology:
    """`technology` with the energies of another kind of DRAM, which its name then says; as it is if None."""
    if dram is None:
        return technology
    kind = load_dram(dram)
    access = DramAccess(**kind.model_dump(exclude={"name"}))
    return technology.model_copy(update={"dram_access": access, "name": f"{technology.name}_{kind.name}"})


Table = TypeVar("Table", Technology, DramKind)


def _load(given: str | os.PathLike[str] | Table, kind: type[Table], folder: Path) -> Table:
    if isinstance(given, kind):
        return given
    what = "technology" if kind is Technology else "DRAM"
    if not isinstance(given, str | os.PathLike):
        raise ConfigError(f"{what} must be a name, a path or a {kind.__name__}, not {type(given).__name__}")
    text = os.fsdecode(given)
    path = Path(text) if text.endswith((".yaml", ".yml")) or os.sep in text else folder / f"{text}.yaml"
    if not os.path.isfile(path):
        known = ", ".join(_names(folder))
        raise ConfigError(f"unknown {what} {shown(text)}; known are {known}, or give the path of a YAML file")
    return kind.checked(read_mapping(path), str(path))


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _directory() -> Path:
    return targets_directory() / "technology"
