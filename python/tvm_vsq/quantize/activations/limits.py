"""The magnitude that a tensor's coarse scale covers: its largest one, or less, so that the rest is finer.

What lies beyond the limit saturates. Each method is a function of what `Observation` keeps of a tensor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import CalibrationError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.layers.steps import activation_gamma
from tvm_vsq.numerics import quantize_activations

Array = npt.NDArray[Any]

BINS = 2048
"""Of a histogram of magnitudes; what NVIDIA's entropy calibration uses (Migacz, GTC 2017, S7310)."""

_SAMPLED_VECTORS = 4096
_ENTROPY_STRIDE = 8
_SMOOTHING = 1e-4
_MSE_LIMITS = 2.0 ** (-np.arange(25) / 8)
"""Candidates of the MSE search, as parts of the largest magnitude: down to an eighth, eight an octave."""


@dataclass
class Observation:
    """A tensor over all calibration data: a histogram of |x| up to `absmax`, and some of its vectors.

    `counts` int64 [BINS], `vectors` float32 [n, V], at most some thousand, drawn evenly from all data;
    `vector_peaks` float64 [CV], the largest magnitude in each vector of channels.
    """

    absmax: float
    vector_size: int
    counts: Array = field(default_factory=lambda: np.zeros(BINS, np.int64))
    vectors: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    vector_peaks: Array = field(default_factory=lambda: np.zeros(0))
    _kept_keys: Array = field(default_factory=lambda: np.zeros(0))
    _draw: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def add(self, x: Array) -> None:
        """Count a batch float32 [..., C]; channels are filled up to whole vectors with zeros."""
        magnitudes = np.abs(x, dtype=np.float64).reshape(-1)
        self.counts += np.histogram(magnitudes, BINS, (0.0, self.absmax or 1.0))[0]
        size = self.vector_size
        missing = -x.shape[-1] % size
        padded = np.pad(x.reshape(-1, x.shape[-1]), ((0, 0), (0, missing)))
        peaks = np.abs(padded).max(axis=0).reshape(-1, size).max(axis=1).astype(np.float64)
        self.vector_peaks = np.maximum(self.vector_peaks, peaks) if len(self.vector_peaks) else peaks
        self._keep(padded.reshape(-1, size))

    def _keep(self, vectors: Array) -> None:
        """Every vector seen so far is equally likely to be among those kept."""
        keys = np.concatenate([self._kept_keys, self._draw.random(len(vectors))])
        pool = np.concatenate([self.vectors.reshape(-1, vectors.shape[1]), vectors])
        chosen = np.argsort(keys, kind="stable")[:_SAMPLED_VECTORS]
        self.vectors, self._kept_keys = pool[chosen], keys[chosen]


def percentile_limit(counts: Array, absmax: float, percentile: float) -> float:
    """Upper edge of the bin in which the given percentage of all magnitudes is reached."""
    cumulated = np.cumsum(counts)
    reached = int(np.searchsorted(cumulated, percentile / 100 * cumulated[-1]))
    return absmax * (min(reached, len(counts) - 1) + 1) / len(counts)


def entropy_limit(counts: Array, absmax: float, levels: int) -> float:
    """The limit whose clipped histogram loses least when its bins are merged to `levels` (Migacz, GTC 2017).

    Loss is the Kullback-Leibler divergence of the clipped distribution from the merged one, whose mass is
    spread evenly over the bins that were not empty; a ten-thousandth of it over all bins, so that a last bin
    which holds only what was clipped has a price, but not an infinite one.
    """
    counts = counts.copy()
    counts[0] = counts[1]  # zeros cost nothing at any limit, and would outweigh all else behind a ReLU
    best, limit = np.inf, absmax
    for end in range(len(counts), levels - 1, -_ENTROPY_STRIDE):
        divergence = _divergence(counts, end, levels)
        if divergence < best:
            best, limit = divergence, absmax * end / len(counts)
    return limit


def _divergence(counts: Array, end: int, levels: int) -> float:
    clipped = counts[:end].astype(np.float64)
    filled = clipped > 0
    group = np.arange(end) * levels // end
    mass = np.bincount(group, clipped, levels)
    bins = np.bincount(group, filled, levels)
    merged = np.where(filled, (mass / np.maximum(bins, 1))[group], 0.0)
    reference = clipped.copy()
    reference[-1] += counts[end:].sum()
    total = merged.sum()
    q = (1 - _SMOOTHING) * (merged / total if total else merged) + _SMOOTHING / end
    p = reference / reference.sum()
    return float(np.sum(p[p > 0] * np.log(p[p > 0] / q[p > 0])))


def mse_limit(vectors: Array, absmax: float, fmt: VectorFormat, guard_bits: int) -> float:
    """The limit, of 25 down to absmax / 8, with the least squared error of the sampled vectors."""
    errors = []
    for limit in absmax * _MSE_LIMITS:
        gamma = activation_gamma(float(limit), fmt)
        quantized = quantize_activations(vectors, fmt, gamma, guard_bits)[:, 0].astype(np.float64)
        restored = quantized[:, :-1] * quantized[:, -1:] * float(gamma)
        errors.append(float(np.square(restored - vectors).sum()))
    return float(absmax * _MSE_LIMITS[int(np.argmin(errors))])


def choose_limit(
    seen: Observation, fmt: VectorFormat, method: str, percentile: float, guard_bits: int, name: str
) -> float:
    """The limit of tensor `name` by `method`, of those of `QuantConfig.activation_calibration`.

    Raises CalibrationError if fewer values were seen than the method can tell anything from.
    """
    needed = {"percentile": math.ceil(100 / max(100 - percentile, 1e-9)), "entropy": BINS, "mse": 1}
    total = int(seen.counts.sum())
    if method in needed and percentile < 100 and total < needed[method]:
        raise CalibrationError(
            f"'{name}' has {total} values on all calibration data, too few for {method} calibration, which "
            f"needs {needed[method]}; give more samples, or use activation_calibration='max'"
        )
    if method == "percentile":
        return percentile_limit(seen.counts, seen.absmax, percentile)
    if method == "entropy":
        levels = fmt.qmax * fmt.smax + 1
        return entropy_limit(seen.counts, seen.absmax, levels) if levels < BINS else seen.absmax
    if method == "mse":
        return mse_limit(seen.vectors, seen.absmax, fmt, guard_bits)
    return seen.absmax
