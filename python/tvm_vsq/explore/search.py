"""Which points are looked at: all of a grid, or those that a multi-objective search proposes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from tvm_vsq.errors import ConfigError, shown
from tvm_vsq.explore.goals import Constraint, Objective
from tvm_vsq.explore.space import Grid, Settings, points_of
from tvm_vsq.extras import extra

SEARCHES = ("grid", "nsga2", "tpe")
_GENERATION = 16
"""Points that are proposed together, whatever the number of workers: a search does not depend on it."""

Proposal = tuple[Grid, Settings]
Values = Mapping[str, Any]


class Search(Protocol):
    """Proposes points, and learns from what they gave."""

    def generations(self) -> Iterator[list[Proposal]]:
        """Points to measure; `learn` of each before the next."""

    def learn(self, rows: Sequence[Values], fp32: Mapping[str, float]) -> None:
        """The values of the points that were proposed last, in their order."""


class GridSearch:
    """All points of the space."""

    def __init__(self, grids: Sequence[Grid]) -> None:
        self._grids = grids

    def generations(self) -> Iterator[list[Proposal]]:
        """One with every point."""
        yield list(points_of(self._grids))

    def learn(self, rows: Sequence[Values], fp32: Mapping[str, float]) -> None:
        """Nothing."""


class OptunaSearch:
    """`trials` points by NSGA-II (Deb et al., 2002) or TPE (Bergstra et al., 2011), from optuna.

    Axes of numbers, in rising or falling order, are searched as such, others as categories.
    """

    def __init__(
        self,
        sampler: str,
        grid: Grid,
        trials: int,
        seed: int,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint],
    ) -> None:
        optuna = extra("optuna", "sweep", f"search='{sampler}' and others")
        self._optuna, self._grid, self._trials = optuna, grid, trials
        self._objectives, self._constraints = objectives, constraints
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if sampler == "nsga2":
            made = optuna.samplers.NSGAIISampler(population_size=_GENERATION, seed=seed)
        else:
            made = optuna.samplers.TPESampler(seed=seed)
        directions = ["maximize" if each.maximize else "minimize" for each in objectives]
        self._study = optuna.create_study(sampler=made, directions=directions)
        self._asked: list[Any] = []

    def generations(self) -> Iterator[list[Proposal]]:
        """Of at most 16 points each."""
        left = self._trials
        while left:
            self._asked = [self._study.ask() for _ in range(min(left, _GENERATION))]
            left -= len(self._asked)
            yield [(self._grid, self._settings(trial)) for trial in self._asked]

    def learn(self, rows: Sequence[Values], fp32: Mapping[str, float]) -> None:
        """Points that lack an objective count as failed."""
        state = self._optuna.trial.TrialState
        for trial, row in zip(self._asked, rows, strict=True):
            values = [row.get(each.name) for each in self._objectives]
            if None in values or any(row.get(each.name) is None for each in self._constraints):
                self._study.tell(trial, state=state.FAIL)
                continue
            for each in self._constraints:
                trial.set_constraint(each.text, each.violation(row, fp32))
            self._study.tell(trial, values)

    def _settings(self, trial: Any) -> Settings:
        return {name: self._label(trial, name, list(axis)) for name, axis in self._grid.items()}

    def _label(self, trial: Any, name: str, labels: list[Any]) -> Any:
        if len(labels) > 1 and _is_ordered(labels):
            return labels[trial.suggest_int(name, 0, len(labels) - 1)]
        return trial.suggest_categorical(name, labels)


def _is_ordered(labels: Sequence[Any]) -> bool:
    if any(isinstance(label, str) or label is None for label in labels):
        return False
    return list(labels) in (sorted(labels), sorted(labels, reverse=True))


def check_search(search: Any, grids: Sequence[Grid], trials: Any) -> None:
    """Raise ConfigError for a search that there is not, or that takes no such grids or trials."""
    if search not in SEARCHES:
        raise ConfigError(f"search={shown(search)} is not known; there are {', '.join(SEARCHES)}")
    if search == "grid":
        if trials is not None:
            raise ConfigError("trials= is for search='nsga2' and 'tpe'; a grid has all its points measured")
        return
    if type(trials) is not int or trials < 1:
        raise ConfigError(f"search='{search}' needs trials=, an integer of at least 1, not {shown(trials)}")
    if len(grids) != 1:
        raise ConfigError(f"search='{search}' takes one grid, not a list of {len(grids)}; use search='grid'")


def search_of(
    search: str,
    grids: Sequence[Grid],
    trials: int | None,
    seed: int,
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint],
) -> Search:
    """The search of that name, which `check_search` takes."""
    if trials is None:
        return GridSearch(grids)
    return OptunaSearch(search, grids[0], trials, seed, objectives, constraints)
