"""Model-guided search over a finite set of schedules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Candidate = TypeVar("Candidate")

_WARM_UP = 16
_BATCH = 8
_RANDOM_SHARE = 0.25


def search(
    candidates: Sequence[Candidate],
    features: npt.NDArray[np.float32],
    measure: Callable[[Candidate], int],
    *,
    first: int,
    trials: int,
    seed: int,
) -> dict[int, int]:
    """Measure up to `trials` candidates and return the cycles of each measured index.

    `features[i]` describes candidate i; `first` is the index measured before all others, so that the
    result is never
    worse than it. After a random warm-up, batches are chosen by an XGBoost model of log(cycles), a quarter
    of each at
    random so that the model keeps seeing what it does not believe in. Deterministic for a given seed.
    """
    rng = np.random.default_rng(seed)
    cycles: dict[int, int] = {first: measure(candidates[first])}
    budget = min(trials, len(candidates))
    while len(cycles) < budget:
        unseen = np.array([i for i in range(len(candidates)) if i not in cycles])
        count = min(_BATCH, budget - len(cycles))
        if len(cycles) < _WARM_UP:
            chosen = rng.permutation(unseen)[:count]
        else:
            chosen = _propose(features, cycles, unseen, count, rng, seed)
        for index in chosen:
            cycles[int(index)] = measure(candidates[int(index)])
    return cycles


def _propose(
    features: npt.NDArray[np.float32],
    cycles: dict[int, int],
    unseen: npt.NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
    seed: int,
) -> npt.NDArray[np.int64]:
    import xgboost  # takes a second to import, which only tuning should wait for

    seen = list(cycles)
    model = xgboost.XGBRegressor(
        n_estimators=80, max_depth=6, learning_rate=0.2, min_child_weight=0, n_jobs=1, random_state=seed
    )
    model.fit(features[seen], np.log([cycles[index] for index in seen]))
    order = unseen[np.argsort(model.predict(features[unseen]), kind="stable")]
    greedy = count - int(rng.binomial(count, _RANDOM_SHARE))
    rest = rng.permutation(order[greedy:])
    return np.concatenate([order[:greedy], rest[: count - greedy]])
