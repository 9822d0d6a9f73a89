"""The search finds good candidates with few measurements, and respects its budget."""

from __future__ import annotations

import numpy as np
import pytest

from tvm_vsq.tuning.search import search

GRID = [(x, y) for x in range(20) for y in range(20)]
FEATURES = np.array(GRID, dtype=np.float32)


def bowl(candidate: tuple[int, int]) -> int:
    x, y = candidate
    return 100 + 9 * (x - 13) ** 2 + 5 * (y - 4) ** 2


def run(trials: int, seed: int = 0, candidates: int = len(GRID)) -> dict[int, int]:
    return search(GRID[:candidates], FEATURES[:candidates], bowl, first=0, trials=trials, seed=seed)


def test_it_measures_as_often_as_it_may_and_starts_with_the_first() -> None:
    cycles = run(40)
    assert len(cycles) == 40
    assert next(iter(cycles)) == 0
    assert all(cycles[index] == bowl(GRID[index]) for index in cycles)


@pytest.mark.parametrize("trials", [1, 3])
def test_small_budgets_are_kept(trials: int) -> None:
    assert len(run(trials)) == trials


def test_few_candidates_are_measured_once_each() -> None:
    assert sorted(run(1000, candidates=30)) == list(range(30))


def test_the_same_seed_repeats_the_search() -> None:
    assert run(48, seed=5) == run(48, seed=5)
    assert run(48, seed=5) != run(48, seed=6)


def test_the_cost_model_beats_chance() -> None:
    best = [min(run(64, seed).values()) for seed in range(5)]
    rng = np.random.default_rng(0)
    chance = [min(bowl(GRID[i]) for i in rng.permutation(len(GRID))[:64]) for _ in range(5)]
    assert sum(best) < sum(chance)
