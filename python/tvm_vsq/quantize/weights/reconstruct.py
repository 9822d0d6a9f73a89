"""Weights rounded so that the layer's output is kept, not each weight: GPTQ on vectors with integer scales.

Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", ICLR
2023, section 3: columns are rounded one after the other, and each one's error is made up for by the columns
that are still free, in the proportions that the inverse second moment of the layer's input gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics.layout import join, split_channels
from tvm_vsq.quantize.weights.search import candidate_scales

Array = npt.NDArray[Any]

_DAMPING = 0.01
"""Added to the diagonal, as a part of its mean: what the paper uses (section 3.3, step 2)."""


def damped(second: Array) -> Array:
    """`second` [D, D] made positive definite, also where there were fewer rows than D."""
    mean = float(np.trace(second)) / len(second)
    return np.asarray(second + np.eye(len(second)) * (_DAMPING * mean or 1.0))


def _inverse_factor(second: Array) -> Array:
    """The upper triangular U with U^T U = second^-1.

    second = R R^T with R upper triangular is a Cholesky factorization in reverse order, and U is R^-1: no
    inverse of the whole matrix is needed.
    """
    reverse = np.linalg.cholesky(second[::-1, ::-1])[::-1, ::-1]
    return np.asarray(solve_triangular(reverse, np.eye(len(second))))


def reconstruct(
    w: Array, second: Array, gamma: Array, scales: Array | None, fmt: VectorFormat
) -> npt.NDArray[np.int16]:
    """Quantize `w` [K, R, S, C] or [K, C] to vectors int16[K, ..., CV, V+1], given coarse scales `gamma` [K].

    second: [D, D] with D = R*S*C, the second moment of the layer's quantized input. scales: int[K, ..., CV],
    or None to choose each vector's scale when its turn comes: of those that `weight_search` tries, the one
    that adds least to the error of the output.
    """
    free = w.reshape(len(w), -1).astype(np.float64)
    factor = _inverse_factor(damped(second))
    step = gamma.astype(np.float64)
    elements, chosen = np.zeros_like(free), []
    for index, columns in enumerate(_vectors(w.shape, fmt.vector_size)):
        block = free[:, columns]
        if scales is not None:
            candidates = scales.reshape(len(w), -1)[None, :, index]
        else:
            candidates = np.stack(candidate_scales(np.abs(block).max(axis=1), step, fmt))
        rounded, errors = _round_block(block, factor[columns, columns], candidates * step, fmt)
        best = np.square(errors).sum(axis=-1).argmin(axis=0), np.arange(len(w))
        elements[:, columns] = rounded[best]
        chosen.append(candidates[best])
        free[:, columns.stop :] -= errors[best] @ factor[columns, columns.stop :]
    vectors = split_channels(elements.reshape(w.shape), fmt)
    return join(vectors, np.stack(chosen, axis=1).reshape(vectors.shape[:-1]))


def _vectors(shape: tuple[int, ...], size: int) -> Iterator[slice]:
    """The columns of each vector in weights [K, ..., C] reshaped to [K, D]."""
    channels, columns = shape[-1], int(np.prod(shape[1:]))
    for tap in range(0, columns, channels):
        for start in range(tap, tap + channels, size):
            yield slice(start, min(start + size, tap + channels))


def _round_block(block: Array, factor: Array, steps: Array, fmt: VectorFormat) -> tuple[Array, Array]:
    """Elements and errors [n, K, V] of one vector of each of K channels, for n candidates of its step."""
    free = np.repeat(block[None], len(steps), axis=0)
    elements, errors = np.empty_like(free), np.empty_like(free)
    for lane in range(free.shape[-1]):
        elements[..., lane] = np.clip(np.rint(free[..., lane] / steps), fmt.lo, fmt.qmax)
        errors[..., lane] = (free[..., lane] - elements[..., lane] * steps) / factor[lane, lane]
        free[..., lane + 1 :] -= errors[..., lane, None] * factor[lane, lane + 1 :]
    return elements, errors
