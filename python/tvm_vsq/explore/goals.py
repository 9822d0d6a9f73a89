"""What a sweep looks for: objectives, constraints, and the Pareto front."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import ConfigError, shown


@dataclass(frozen=True)
class Quantity:
    """What is measured of a point: its name in plots, unit, how numbers are written, and what it is."""

    title: str
    unit: str
    spec: str
    what: str
    more_is_better: bool = False

    @property
    def label(self) -> str:
        """With the unit, for an axis."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


COSTS = {
    "cycles": Quantity("cycles", "", ",d", "clock cycles of one inference"),
    "milliseconds": Quantity("time", "ms", ".3f", "of one inference, at the point's clock"),
    "energy_uj": Quantity("energy", "µJ", ",.2f", "of one inference"),
    "area_mm2": Quantity("area", "mm²", ".3f", "of the accelerator"),
    "dram_bytes": Quantity("DRAM traffic", "B", ",d", "between DRAM and chip in one inference"),
    "utilization": Quantity(
        "MAC utilization", "", ".1%", "useful multiply-accumulates over those that the array could do", True
    ),
    "cpu_macs_share": Quantity(
        "MACs on the CPU", "", ".1%", "part of the multiply-accumulates that no cost counts"
    ),
}
"""What is measured of each point besides what `evaluate` returns, one inference each."""
RESERVED = (
    "point",
    "target",
    "technology",
    "feasible",
    "pareto",
    "error",
    "default_cycles",
    "config",
    "hardware",
    "layers",
    "energy_by_part_pj",
    "area_by_group_mm2",
    "area_note",
    "clock_note",
    "not_counted",
)
"""What else a point has, and no metric can be called."""
_SHORT = {"area": "area_mm2", "energy": "energy_uj", "ms": "milliseconds"}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBER = r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+"
_CONSTRAINT = re.compile(
    rf"\s*(?P<name>\w+)\s*(?P<comparison><=|>=|<|>)\s*"
    rf"(?:(?P<number>-?(?:{_NUMBER}))|fp32\s*(?:(?P<operator>[-+*])\s*(?P<by>{_NUMBER}))?)\s*"
)


@dataclass(frozen=True)
class Constraint:
    """`name` compared with a number, or with what the fp32 network reaches, plus or times a number."""

    text: str
    name: str
    comparison: str
    number: float
    factor_of_fp32: float

    @classmethod
    def parse(cls, text: Any) -> Constraint:
        """Read "area_mm2 < 2", "accuracy >= fp32 - 0.01" or "sqnr >= fp32 * 0.5".

        Raises ConfigError that shows how it is written.
        """
        found = _CONSTRAINT.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ConfigError(
                f"constraint {shown(text)} is not understood: write a quantity, one of < <= > >=, and a "
                'number or fp32, as in "area_mm2 < 2" or "accuracy >= fp32 - 0.01"'
            )
        name = full_name(found["name"])
        if found["number"] is not None:
            return cls(text.strip(), name, found["comparison"], float(found["number"]), 0.0)
        by = float(found["by"] or 0)
        if found["operator"] == "*":
            return cls(text.strip(), name, found["comparison"], 0.0, by)
        return cls(text.strip(), name, found["comparison"], -by if found["operator"] == "-" else by, 1.0)

    @property
    def needs_fp32(self) -> bool:
        """Whether it compares with the fp32 network."""
        return bool(self.factor_of_fp32)

    def check(self, fp32: Mapping[str, float]) -> None:
        """Raise ConfigError for a quantity that no point has, or the fp32 network has not."""
        check_name(self.name, list(fp32), f"constraint {self.text!r}")
        if self.needs_fp32 and self.name not in fp32:
            known = ", ".join(fp32) or "nothing, without evaluate="
            raise ConfigError(
                f"constraint {self.text!r}: of the fp32 network is known: {known}; give a number"
            )

    def bound(self, fp32: Mapping[str, float]) -> float:
        """The number that it compares with. fp32: what `evaluate` returns for the fp32 network."""
        return self.number + (self.factor_of_fp32 * fp32[self.name] if self.needs_fp32 else 0.0)

    def holds(self, values: Mapping[str, Any], fp32: Mapping[str, float]) -> bool:
        """Whether it does for a point's values; not for one that lacks the quantity."""
        value = values.get(self.name)
        return value is not None and _COMPARISONS[self.comparison](value, self.bound(fp32))

    def violation(self, values: Mapping[str, Any], fp32: Mapping[str, float]) -> float:
        """By how much it fails, above 0, as optuna wants it; else at most 0."""
        value, bound = values[self.name], self.bound(fp32)
        by = value - bound if self.comparison.startswith("<") else bound - value
        return float(by) if self.holds(values, fp32) else max(float(by), 1e-12)


@dataclass(frozen=True)
class Objective:
    """A quantity, and whether more of it is better."""

    name: str
    maximize: bool


def full_name(name: str) -> str:
    """The quantity that a short name ("area") stands for."""
    return _SHORT.get(name, name)


def objectives_of(objectives: Any, metrics: Iterable[str]) -> tuple[Objective, ...]:
    """Read a list of names, each with max: or min: in front if need be; None: the first metric, time,
    energy and area.

    metrics: what `evaluate` returns; more of them is better, less of what is measured, unless it is said.
    Raises ConfigError for a quantity that is not known.
    """
    metrics = list(metrics)
    if objectives is None:
        objectives = [*metrics[:1], "milliseconds", "energy_uj", "area_mm2"]
    if isinstance(objectives, str) or not isinstance(objectives, Sequence) or not objectives:
        raise ConfigError(
            f'objectives: give a list such as ["accuracy", "energy_uj"], not {shown(objectives)}'
        )
    return tuple(_objective(text, metrics) for text in objectives)


def _objective(text: Any, metrics: Sequence[str]) -> Objective:
    if not isinstance(text, str):
        raise ConfigError(f"objectives: {shown(text)} is no name of a quantity")
    direction, _, name = text.rpartition(":")
    name = full_name(name.strip())
    if direction.strip() not in ("", "max", "min"):
        raise ConfigError(f'objectives: {shown(text)}: write "max:{name}" or "min:{name}"')
    check_name(name, metrics, "objectives")
    better = name in metrics or COSTS[name].more_is_better
    return Objective(name, direction.strip() == "max" if direction else better)


def check_name(name: str, metrics: Sequence[str], what: str) -> None:
    """Raise ConfigError for a quantity that no point has."""
    known = [*metrics, *COSTS]
    if name not in known:
        near = get_close_matches(name, [*known, *_SHORT]) or known
        raise ConfigError(f"{what}: there is no quantity {shown(name)}; there are {', '.join(near)}")


def pareto(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which rows no other row dominates: is nowhere worse than and somewhere better than.

    values: float64 [points, objectives], less is better. Of equal rows all stay.
    """
    front = np.ones(len(values), bool)
    for index, row in enumerate(values):
        others = values[front]
        front[index] = not ((others <= row).all(axis=1) & (others < row).any(axis=1)).any()
    return front
