"""Chooses a format for each layer: the cheapest mix that is accurate enough, or the best within a budget."""

from __future__ import annotations

import json
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from glob import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import ConfigError, QuantizationError, VsqWarning
from tvm_vsq.formats import parse_notation
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.pipeline import build_executable
from tvm_vsq.quantize import QuantConfig, Rule
from tvm_vsq.quantize.data import rereadable
from tvm_vsq.quantize.plan import make_plan
from tvm_vsq.quantize.quantizer import prepare, quantize_prepared
from tvm_vsq.runtime.not_counted import NotCounted
from tvm_vsq.schedule import Database
from tvm_vsq.study.choices import Choices
from tvm_vsq.study.links import NO_LINKS, Links, find_links
from tvm_vsq.study.sensitivity import Comparison, Sensitivity, decibel, measure_sensitivity
from tvm_vsq.terminal import Column, Kind, Printed, Table
from tvm_vsq.threads import compiling
from tvm_vsq.tvm_compat import IRModule

Matrix = npt.NDArray[np.float64]

_ROUNDS = 6
_STORING = ("activation_calibration", "activation_percentile")
"""Settings in which neighbours must agree for the one to store what the other reads."""


@dataclass(frozen=True, repr=False)
class MixedPrecision(Printed):
    """The formats that were chosen, and what they were chosen from.

    config: for `quantize_model` and `fake_quantize`: the commonest format, and a rule for every layer with
        another one. formats: by layer; a maximum pool or a sum has that of the layer whose result it reads,
        of two the first. sqnr_db: of the network's results against fp32, measured with all layers together.
        expected_sqnr_db: from the sum of the layers' own errors.
    energy_pj[layer][format] of one inference: each layer's share in the network compiled for an accelerator
        of that format, pools, sums, softmaxes and norms too. One that keeps its rows on the chip for the
        softmax or norm behind it has the energy of both, and that one 0, or no row. energy_ratio: of the mix
        to the most expensive of the formats for all layers. What results cost that leave an accelerator
        because the next layer has another format is not counted, nor what runs on the CPU in any format:
        `not_counted`.
    """

    config: QuantConfig
    formats: dict[str, str]
    sqnr_db: float
    expected_sqnr_db: float
    energy_ratio: float
    energy_pj: dict[str, dict[str, float]]
    not_counted: NotCounted
    sensitivity: Sensitivity

    def to_json(self) -> str:
        """All fields."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        fields["config"] = json.loads(self.config.to_json())
        fields["not_counted"] = self.not_counted.to_dict()
        fields["sensitivity"] = json.loads(self.sensitivity.to_json())
        return json.dumps(fields, indent=2)

    @property
    def summary(self) -> str:
        """What was reached, and how often each format was chosen."""
        counts = Counter(self.formats.values()).most_common()
        chosen = ", ".join(f"{count} layers {notation}" for notation, count in counts)
        return (
            f"{chosen}; SQNR {self.sqnr_db:.1f} dB (expected {self.expected_sqnr_db:.1f}), energy "
            f"{self.energy_ratio:.2f} of the most expensive format everywhere"
        )

    def _parts(self, wide: bool) -> Iterator[Table | str]:
        yield from self.sensitivity._parts(wide)
        columns = (
            Column("layer", kind=Kind.NAME),
            Column("chosen", kind=Kind.WORD),
            *(
                Column(f"nJ at {notation}", 1 + keep)
                for keep, notation in enumerate(self.sensitivity.formats)
            ),
        )
        rows = [
            (name, notation, *(f"{self._nanojoule(name, other)}" for other in self.sensitivity.formats))
            for name, notation in self.formats.items()
        ]
        yield Table("The format of each layer, and its energy in each", columns, rows)
        yield self.summary
        yield str(self.not_counted)

    def _nanojoule(self, layer: str, notation: str) -> str:
        energies = self.energy_pj.get(layer)
        return "-" if energies is None else f"{energies[notation] / 1e3:,.1f}"


class PrecisionProfile(Printed):
    """How sensitive each layer of a network is in each of several formats, and what energy it takes there.

    `sensitivity` prints and plots; `choose` picks a mix, as often as wanted. `energy_pj[layer][format]` is of
    one inference, simulated with default schedules; maximum pools and sums have rows of their own, as have
    softmaxes and norms, unless they are part of the layer before (`MixedPrecision`). The rows add up to the
    energy of the network compiled for that format, unless rules give layers other formats: those count as
    fp32. All formats, and mixes, have one graph: `residuals="auto"` is what any of them needs. `not_counted`
    is what runs on the CPU there, and is in no energy.
    """

    def __init__(
        self,
        module: IRModule,
        formats: Sequence[str],
        config: QuantConfig,
        base: HardwareConfig,
        calibration: Any,
        data: Any,
    ) -> None:
        """See `tvm_vsq.profile_formats`; `module` is canonical (`frontend.import_model`)."""
        check_formats(formats)
        formats = formats_taken(formats, config, base)
        config = _for_all(config, formats)
        self._config, self._base = config, base
        self._calibration = rereadable(calibration)
        self._module = module = prepare(module, config, base, self._calibration)
        self._compare = Comparison(module, data)
        self.sensitivity, self._choices = measure_sensitivity(
            module, formats, config, base, self._calibration, self._compare
        )
        self._noise = np.array(self.sensitivity.noise)
        self.energy_pj, self.not_counted = _energies(
            module, self._choices, formats, config, base, self._calibration
        )
        self._energy = self._energy_to_choose()
        self._links = find_links(
            make_plan(module, config.with_formats(formats[0]), base),
            base,
            self.sensitivity.layers,
            formats,
            self._choices.leaders,
        )

    @property
    def summary(self) -> str:
        """What was measured, and the energy of each format everywhere."""
        return f"{self.sensitivity.summary}; {self._totals}"

    @property
    def _totals(self) -> str:
        formats = self.sensitivity.formats
        sums = {name: sum(row[name] for row in self.energy_pj.values()) for name in formats}
        return "energy " + ", ".join(f"{name} {pj / 1e6:,.2f} uJ" for name, pj in sums.items())

    def _parts(self, wide: bool) -> Iterator[Table | str]:
        yield from self.sensitivity._parts(wide)
        yield f"{self._totals}; .choose(target_sqnr_db=...) or (max_energy_ratio=...) picks a mix"
        yield str(self.not_counted)

    def _energy_to_choose(self) -> Matrix:
        """float64[layer, format] in pJ: of each layer with what follows it."""
        nothing = dict.fromkeys(self.sensitivity.formats, 0.0)
        return np.array(
            [
                [sum(self.energy_pj.get(name, nothing)[notation] for name in group) for notation in nothing]
                for group in map(self._choices.costing, self.sensitivity.layers)
            ]
        )

    @compiling
    def choose(
        self, *, target_sqnr_db: float | None = None, max_energy_ratio: float | None = None
    ) -> MixedPrecision:
        """The mix for one of the two aims; see `tvm_vsq.choose_formats`."""
        check_aim(target_sqnr_db, max_energy_ratio)
        if target_sqnr_db is not None:
            return _reach(float(target_sqnr_db), self._noise, self._energy, self._mix, self._links)
        ratio = float(max_energy_ratio or 0)
        most = self._energy.sum(axis=0).max()
        least = _sum(self._energy, _least(self._energy, self._links)) / most
        if least > ratio:
            raise QuantizationError(
                f"max_energy_ratio={ratio:g} cannot be met: the cheapest of "
                f"{', '.join(self.sensitivity.formats)} takes {least:.3f}; allow more, or add a narrower "
                f"format"
            )
        return self._mix(_solve(self._noise, self._energy, ratio * most, self._links))

    def _mix(self, chosen: npt.NDArray[np.int64]) -> MixedPrecision:
        """What the choice of a format for each layer comes to."""
        profile = self.sensitivity
        picked = {name: profile.formats[i] for name, i in zip(profile.layers, chosen, strict=True)}
        formats = self._with_followers(picked)
        mixed = _config(self._config, picked, formats)
        hardware = mixed.hardware(self._base)
        measured = self._compare(quantize_prepared(self._module, mixed, hardware, self._calibration))
        return MixedPrecision(
            mixed,
            formats,
            decibel(measured),
            decibel(_sum(self._noise, chosen)),
            float(_sum(self._energy, chosen) / self._energy.sum(axis=0).max()),
            self.energy_pj,
            self.not_counted,
            profile,
        )

    def _with_followers(self, picked: dict[str, str]) -> dict[str, str]:
        """`picked`, and the formats that pools and sums have from the layers that they follow."""
        mixed, leaders = _config(self._config, picked, picked), self._choices.leaders
        plan = make_plan(self._module, mixed, mixed.hardware(self._base))
        planned = {layer.name: layer.config.notation for layer in plan.layers}
        return {
            name: planned[leaders.get(name, name)] for name in planned if name in picked or name in leaders
        }


def check_formats(formats: Sequence[str]) -> None:
    """Raise ConfigError unless these are at least two different formats, in their notation."""
    is_list = isinstance(formats, Sequence) and not isinstance(formats, str)
    distinct = {tuple(parse_notation(notation).values()) for notation in formats} if is_list else set()
    if not is_list or len(distinct) < 2 or len(distinct) != len(formats):
        raise ConfigError(
            f"formats={formats!r}: give at least two different formats to choose from, such as "
            "('4/4/4/4', '8/8/-/-')"
        )


def formats_taken(formats: Sequence[str], config: QuantConfig, base: HardwareConfig) -> Sequence[str]:
    """Those of `formats` that layers on `base` can have: all, unless its `precision_passes` say that one chip
    runs the mix.

    Others are left out with a VsqWarning. ConfigError if fewer than two are left.
    """
    if base.precision_passes == 1:
        return formats
    taken, reasons = [], []
    for notation in formats:
        wanted = config.with_formats(notation).formats(base)
        found = next(base.misfits(wanted), None)
        if found is None:
            taken.append(notation)
        else:
            field, has, built = found
            reasons.append(f"'{notation}' has {field}={has}, target '{base.label}' {built}")
    if reasons:
        text = f"{'; '.join(reasons)}: no layer on that target can have it"
        if len(taken) < 2:
            raise ConfigError(f"{text}, and with fewer than two formats there is nothing to choose")
        warnings.warn(text, VsqWarning, stacklevel=2)
    return taken


def check_aim(target_sqnr_db: Any, max_energy_ratio: Any) -> None:
    """Raise ConfigError unless just one of the two is given, and in its range."""
    if (target_sqnr_db is None) == (max_energy_ratio is None):
        raise ConfigError("give one of target_sqnr_db= and max_energy_ratio=, the aim of the choice")
    aim = max_energy_ratio if target_sqnr_db is None else target_sqnr_db
    if not isinstance(aim, int | float) or not math.isfinite(aim):
        raise ConfigError(f"target_sqnr_db or max_energy_ratio is {aim!r}; give a number")
    if target_sqnr_db is None and not 0 < aim <= 1:
        raise ConfigError(f"max_energy_ratio={max_energy_ratio} is outside 0..1")


def _reach(
    target: float,
    noise: Matrix,
    energy: Matrix,
    mix: Callable[[npt.NDArray[np.int64]], MixedPrecision],
    links: Links = NO_LINKS,
) -> MixedPrecision:
    """The cheapest mix whose measured SQNR reaches `target`.

    Errors of layers add up only about, so the bound on their sum is tightened by what is missing.
    """
    best = _least(noise, links)
    least = _sum(noise, best)
    bound = 10 ** (-target / 10)
    for _ in range(_ROUNDS):
        if bound < least:
            break
        found = mix(_solve(energy, noise, bound, links))
        if found.sqnr_db >= target:
            return found
        bound *= 10 ** ((found.sqnr_db - target - 0.05) / 10)
    found = mix(best)
    if found.sqnr_db >= target:
        return found
    raise QuantizationError(
        f"target_sqnr_db={target:g} cannot be met: with the best format for each layer the results have "
        f"{found.sqnr_db:.1f} dB; add a wider format, or aim lower"
    )


def _sum(values: Matrix, chosen: npt.NDArray[np.int64]) -> float:
    return float(values[np.arange(len(chosen)), chosen].sum())


def _least(cost: Matrix, links: Links) -> npt.NDArray[np.int64]:
    """The column of each row with the least total `cost`, whatever it uses."""
    if not len(links.rows):
        return np.asarray(cost.argmin(axis=1))
    return _solve(cost, np.zeros_like(cost), 0.0, links)


def _solve(cost: Matrix, used: Matrix, budget: float, links: Links = NO_LINKS) -> npt.NDArray[np.int64]:
    """The column of each row with the least total `cost` whose total `used` stays within `budget`, and that
    keeps `links`.

    A multiple-choice knapsack, solved as the integer program that it is.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp  # half a second, which few commands need

    layers, choices = cost.shape
    one_each = np.kron(np.eye(layers), np.ones(choices))
    scale = budget or 1.0
    constraints = [
        LinearConstraint(one_each, 1, 1),
        LinearConstraint(used.ravel()[None] / scale, -np.inf, budget / scale),
    ]
    if len(links.rows):
        constraints.append(LinearConstraint(links.rows, -np.inf, links.most))
    result = milp(
        cost.ravel() / (cost.max() or 1.0),
        integrality=np.ones(cost.size),
        bounds=Bounds(0, 1),
        constraints=constraints,
    )
    if result.x is None:
        remedy = "widen the budget" if budget else "drop rules that give formats to readers of one tensor"
        raise QuantizationError(f"no mix of formats was found: {result.message}; {remedy}")
    return np.asarray(result.x.reshape(layers, choices).argmax(axis=1))


def _energies(
    module: IRModule,
    choices: Choices,
    formats: Sequence[str],
    config: QuantConfig,
    base: HardwareConfig,
    calibration: Any,
) -> tuple[dict[str, dict[str, float]], NotCounted]:
    """[layer][format]: energy in pJ, simulated with default schedules; and what that leaves out.

    Pools and sums are on the accelerator too, so that each layer stores its result as the next one reads it.
    What is left out is of the last format; it is the same in all, as far as the network is.
    """
    columns = {}
    for notation in formats:
        uniform = config.with_formats(notation)
        hardware = uniform.hardware(base)
        rules = [Rule(layers="*", fp32=True)]
        for layer in choices.all:
            storing = {name: getattr(layer.config, name) for name in _STORING}
            rules.append(Rule(layers=escape(layer.name), formats=notation, settings=tuple(storing.items())))
        plain = uniform.unfitted().model_copy(update={"rules": tuple(rules)})
        timing = build_executable(
            quantize_prepared(module, plain, hardware, calibration), hardware, Database()
        ).timing()
        column: dict[str, float] = {}
        for timed in timing.layers:
            name = _owner(timed.name, [choice.name for choice in choices.all])
            column[name] = column.get(name, 0.0) + timed.energy_pj
        columns[notation] = column
    names = dict.fromkeys(name for column in columns.values() for name in column)
    rows = {name: {notation: columns[notation].get(name, 0.0) for notation in formats} for name in names}
    return rows, timing.not_counted


def _owner(timed: str, names: Sequence[str]) -> str:
    """The layer that a row of a profile is of; of one that was joined with the rows that it makes, itself."""
    if timed in names:
        return timed
    return next((name for name in names if timed.startswith(f"{name} + ")), timed)


def _for_all(config: QuantConfig, formats: Sequence[str]) -> QuantConfig:
    """`config` with one form of residuals for all formats, which would decide it each for itself."""
    is_wide = any(config.with_formats(notation).widens_residuals for notation in formats)
    return config.model_copy(update={"residuals": "wide" if is_wide else "vectors"})


def _config(config: QuantConfig, picked: dict[str, str], formats: dict[str, str]) -> QuantConfig:
    """`config` with the commonest format of `picked`, and a rule for each of `formats` that differs."""
    commonest = Counter(picked.values()).most_common(1)[0][0]
    rules = [
        Rule(layers=escape(name), formats=notation)
        for name, notation in formats.items()
        if notation != commonest
    ]
    mixed = config.with_formats(commonest)
    return mixed.model_copy(update={"rules": (*config.rules, *rules)})
