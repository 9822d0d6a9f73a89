"""What outputs are worth, with standard errors from a bootstrap.

Every row of a table draws the same resamples, so the error of a difference from fp32 is that of paired
samples: what both get right or wrong alike does not count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]
RESAMPLES = 1000


@dataclass(frozen=True)
class Estimate:
    """A figure in points, 0 to 100, and what it would have been on resampled data."""

    value: float
    resampled: Array

    @property
    def error(self) -> float:
        """Standard error."""
        return float(self.resampled.std())

    def minus(self, other: Estimate) -> Estimate:
        return Estimate(self.value - other.value, self.resampled - other.resampled)


class Metric(Protocol):
    """`outputs` is what a network's `summarize` keeps: one row for each sample."""

    name: str
    samples: int

    def estimate(self, outputs: Array) -> Estimate: ...

    def agreement(self, outputs: Array, fp32: Array) -> float | None:
        """Percentage of the samples that are decided as fp32 decides; None if nothing is decided."""


@dataclass(frozen=True)
class Accuracy:
    """Percentage of right decisions among the first `samples` outputs."""

    name: str
    decide: Callable[[Array], npt.NDArray[np.int64]]
    is_right: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.bool_]]
    samples: int

    def estimate(self, outputs: Array) -> Estimate:
        right = 100.0 * self.is_right(self.decide(outputs)[: self.samples])
        return Estimate(float(right.mean()), _counts(self.samples) @ right / self.samples)

    def agreement(self, outputs: Array, fp32: Array) -> float | None:
        return float(100 * (self.decide(outputs) == self.decide(fp32)).mean())


@dataclass(frozen=True)
class Correlation:
    """100 times Pearson's r, or Spearman's rho, of cosines with judgements.

    by_item: resample items (all pairs of few texts) rather than pairs (which share few items).
    """

    name: str
    rows: slice  # of the outputs
    pairs: npt.NDArray[np.int64]
    judged: Array
    by_rank: bool
    by_item: bool

    @property
    def samples(self) -> int:
        return len(self.pairs)

    def estimate(self, outputs: Array) -> Estimate:
        vectors = outputs[self.rows]
        cosines = (vectors[self.pairs[:, 0]] * vectors[self.pairs[:, 1]]).sum(1)
        judged = self.judged
        if self.by_rank:
            cosines, judged = rankdata(cosines), rankdata(judged)
        if self.by_item:
            counts = _counts(len(vectors))
            weights = counts[:, self.pairs[:, 0]] * counts[:, self.pairs[:, 1]]
        else:
            weights = _counts(self.samples)
        value = _correlations(cosines, judged, np.ones((1, self.samples)))[0]
        return Estimate(float(value), _correlations(cosines, judged, weights))

    def agreement(self, outputs: Array, fp32: Array) -> float | None:
        return None


def sqnr_db(outputs: Array, fp32: Array) -> float:
    """Power of the fp32 outputs over that of the difference, in dB."""
    noise = np.square(outputs.astype(np.float64) - fp32).sum()
    return (
        float("inf") if noise == 0 else float(10 * np.log10(np.square(fp32.astype(np.float64)).sum() / noise))
    )


def _counts(items: int) -> Array:
    """How often each item is drawn, [RESAMPLES, items]; the same every time."""
    generator = np.random.default_rng(0)
    return generator.multinomial(items, np.full(items, 1 / items), size=RESAMPLES).astype(np.float64)


def _correlations(x: Array, y: Array, weights: Array) -> Array:
    """100 times the weighted correlation of x and y, for each row of weights."""
    weights = weights / weights.sum(1, keepdims=True)
    dx, dy = x - (weights @ x)[:, None], y - (weights @ y)[:, None]
    covariance = (weights * dx * dy).sum(1)
    return 100 * covariance / np.sqrt((weights * dx**2).sum(1) * (weights * dy**2).sum(1))
