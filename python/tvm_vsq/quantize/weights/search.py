"""Weight scales of least error, instead of those that hold the largest weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import quantize_weights
from tvm_vsq.numerics.layout import join, split_channels

Array = npt.NDArray[Any]

_COARSE = 2.0 ** (-np.arange(9) / 8)
"""Candidates of a channel's coarse scale, as parts of the one that reaches its largest weight."""

_STEPS_DOWN = 4
"""Candidates of a vector's scale: the smallest that clips nothing, and as many less one below it."""


def search_weights(
    w: npt.NDArray[np.floating[Any]], fmt: VectorFormat, second: Array | None = None
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Quantize `w` as `numerics.quantize_weights` does, with scales chosen by squared error.

    For each channel the coarse scale, and below it for each vector the integer scale, with the least squared
    error; elements are rounded against the integer scale, and clipped where it is too small for them. The
    result is never worse than that of `quantize_weights`, which is one of the candidates.

    The error is that of the weights, or with `second`, the second moment [D, D] of the layer's input
    (D = R*S*C), that of its output: e^T second e for the error e of a channel's weights, of which the choice
    of a vector's scale sees only its own block.
    """
    measure = _WeightError() if second is None else _OutputError(second, w.shape, fmt)
    best_vectors, best_gamma = quantize_weights(w, fmt)
    values = split_channels(w.astype(np.float64), fmt)
    best = measure.of_channels(_restore(best_vectors, best_gamma) - values)
    peak = np.abs(values).max(axis=-1)
    coarsest = best_gamma.astype(np.float64)
    for part in _COARSE:
        gamma = (coarsest * part).astype(np.float32)
        vectors = _best_vectors(values, peak, gamma, fmt, measure)
        error = measure.of_channels(_restore(vectors, gamma) - values)
        better = error < best
        best = np.where(better, error, best)
        best_vectors[better], best_gamma[better] = vectors[better], gamma[better]
    return best_vectors, best_gamma


def candidate_scales(peak: Array, step: Array, fmt: VectorFormat) -> list[Array]:
    """For vectors with largest magnitude `peak` in channels with coarse scale `step`, of the same shape."""
    holds_all = np.clip(np.ceil(peak / (fmt.qmax * step)), 1, fmt.smax)
    return [np.maximum(holds_all - down, 1) for down in range(1 if fmt.smax == 1 else _STEPS_DOWN)]


class _WeightError:
    def of_vectors(self, errors: Array) -> Array:
        """[K, ..., CV, V] to [K, ..., CV]."""
        return np.asarray(np.square(errors).sum(axis=-1))

    def of_channels(self, errors: Array) -> Array:
        """[K, ..., CV, V] to [K]."""
        return np.asarray(np.square(errors).reshape(len(errors), -1).sum(axis=1))


class _OutputError:
    def __init__(self, second: Array, shape: tuple[int, ...], fmt: VectorFormat) -> None:
        # Row 0 of what is padded below stands for the lanes that only fill up a vector.
        lanes = split_channels(np.arange(1, len(second) + 1).reshape(shape[1:]), fmt)
        lanes = lanes.reshape(-1, fmt.vector_size)
        self._second, self._used = second, lanes.reshape(-1) > 0
        self._blocks = np.pad(second, ((1, 0), (1, 0)))[lanes[:, :, None], lanes[:, None, :]]

    def of_vectors(self, errors: Array) -> Array:
        by_vector = errors.reshape(len(errors), *self._blocks.shape[:2]).swapaxes(0, 1)
        weighted = (by_vector @ self._blocks) * by_vector
        return np.asarray(weighted.sum(axis=-1).T.reshape(errors.shape[:-1]))

    def of_channels(self, errors: Array) -> Array:
        flat = errors.reshape(len(errors), -1)[:, self._used]
        return np.asarray(((flat @ self._second) * flat).sum(axis=1))


def _spread(gamma: Array, like: Array) -> Array:
    """Of each channel, in float64, to the axes of `like`."""
    return gamma.astype(np.float64).reshape(-1, *[1] * (like.ndim - 1))


def _restore(vectors: Array, gamma: Array) -> Array:
    """Vectors [K, ..., V+1] to float64 [K, ..., V]."""
    return vectors[..., :-1].astype(np.float64) * vectors[..., -1:] * _spread(gamma, vectors)


def _best_vectors(
    values: Array, peak: Array, gamma: Array, fmt: VectorFormat, measure: _WeightError | _OutputError
) -> npt.NDArray[np.int16]:
    step = _spread(gamma, peak)
    best, chosen = np.full(peak.shape, np.inf), None
    for scale in candidate_scales(peak, step, fmt):
        elements = np.clip(np.rint(values / (step * scale)[..., None]), fmt.lo, fmt.qmax)
        vectors = join(elements, scale)
        error = measure.of_vectors(_restore(vectors, gamma) - values)
        chosen = vectors if chosen is None else np.where((error < best)[..., None], vectors, chosen)
        best = np.minimum(best, error)
    return np.asarray(chosen, dtype=np.int16)
