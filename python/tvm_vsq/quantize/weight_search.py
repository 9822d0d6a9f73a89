"""Weight scales of least squared error, instead of those that hold the largest weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.numerics import VectorFormat, quantize_weights
from tvm_vsq.numerics.layout import join, split_channels

Array = npt.NDArray[Any]

_COARSE = 2.0 ** (-np.arange(9) / 8)
"""Candidates of a channel's coarse scale, as parts of the one that reaches its largest weight."""

_STEPS_DOWN = 4
"""Candidates of a vector's scale: the smallest that clips nothing, and as many less one below it."""


def search_weights(
    w: npt.NDArray[np.floating[Any]], fmt: VectorFormat
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Quantize `w` as `numerics.quantize_weights` does, with scales chosen by squared error.

    For each channel the coarse scale, and below it for each vector the integer scale, with the least squared
    error of the weights; elements are rounded against the integer scale, and clipped where it is too small
    for them. The result is never worse than that of `quantize_weights`, which is one of the candidates.
    """
    best_vectors, best_gamma = quantize_weights(w, fmt)
    values = split_channels(w.astype(np.float64), fmt)
    best = _error(values, best_vectors, best_gamma).reshape(len(w), -1).sum(axis=1)
    peak = np.abs(values).max(axis=-1)
    coarsest = best_gamma.astype(np.float64)
    for part in _COARSE:
        gamma = (coarsest * part).astype(np.float32)
        vectors = _best_vectors(values, peak, gamma, fmt)
        error = _error(values, vectors, gamma).reshape(len(w), -1).sum(axis=1)
        better = error < best
        best = np.where(better, error, best)
        best_vectors[better], best_gamma[better] = vectors[better], gamma[better]
    return best_vectors, best_gamma


def _spread(gamma: Array, like: Array) -> Array:
    """Of each channel, in float64, to the axes of `like`."""
    return gamma.astype(np.float64).reshape(-1, *[1] * (like.ndim - 1))


def _error(values: Array, vectors: Array, gamma: Array) -> Array:
    """Squared error of each vector."""
    restored = vectors[..., :-1].astype(np.float64) * vectors[..., -1:] * _spread(gamma, vectors)
    return np.asarray(np.square(restored - values).sum(axis=-1))


def _best_vectors(values: Array, peak: Array, gamma: Array, fmt: VectorFormat) -> npt.NDArray[np.int16]:
    step = _spread(gamma, peak)
    holds_all = np.clip(np.ceil(peak / (fmt.qmax * step)), 1, fmt.smax)
    best, chosen = np.full(peak.shape, np.inf), None
    for down in range(_STEPS_DOWN):
        scale = np.maximum(holds_all - down, 1)
        elements = np.clip(np.rint(values / (step * scale)[..., None]), fmt.lo, fmt.qmax)
        vectors = join(elements, scale)
        error = _error(values, vectors, gamma)
        chosen = vectors if chosen is None else np.where((error < best)[..., None], vectors, chosen)
        best = np.minimum(best, error)
        if fmt.smax == 1:
            break
    return np.asarray(chosen, dtype=np.int16)
