"""Weight scales of least error, instead of those that hold the largest weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import quantize_weights
from tvm_vsq.quantize.weights.lanes import by_channels, lanes_of, vectors_of
from tvm_vsq.quantize.weights.second import Second

Weights = npt.NDArray[np.floating[Any]]
Gamma = npt.NDArray[np.float32]

COARSE = 2.0 ** (-np.arange(9) / 8)
"""Candidates of a channel's coarse scale, as parts of the one that reaches its largest weight."""

_STEPS_DOWN = 4
"""Candidates of a vector's scale: the smallest that clips nothing, and as many less one below it."""


def search_weights(
    w: Weights, fmt: VectorFormat, second: Second | None = None
) -> tuple[npt.NDArray[np.int16], Gamma]:
    """Quantize `w` as `numerics.quantize_weights` does, with scales chosen by squared error.

    For each channel the coarse scale, and below it for each vector the integer scale, with the least squared
    error; elements are rounded against the integer scale, and clipped where it is too small for them. The
    result is never worse than that of `quantize_weights`, which is one of the candidates; errors are compared
    in float32.

    The error is that of the weights, or with `second`, the second moment of the layer's input, that of its
    output: e^T H e for the error e of a channel's weights, of which the choice of a vector's scale sees only
    its own block.
    """
    search = _Search(fmt, w.shape[-1], second)
    parts = [search.weights(w[part]) for part in by_channels(w.shape)]
    vectors, gamma = (np.concatenate(side) for side in zip(*parts, strict=True))
    return vectors, gamma


def search_gamma(w: Weights, fmt: VectorFormat, second: Second | None = None) -> Gamma:
    """The coarse scales float32[K] of `search_weights`, without the vectors."""
    search = _Search(fmt, w.shape[-1], second)
    return np.concatenate([search.gamma(w[part]) for part in by_channels(w.shape)])


def candidate_scales(peak: Tensor, fmt: VectorFormat) -> list[Tensor]:
    """For vectors with largest magnitude `peak`, in steps of the coarse scale."""
    holds_all = (peak / fmt.qmax).ceil_().clamp_(1, fmt.smax)
    return [(holds_all - down).clamp_(min=1) for down in range(1 if fmt.smax == 1 else _STEPS_DOWN)]


class _Search:
    """Over the candidates of a layer, for some of its output channels at a time."""

    def __init__(self, fmt: VectorFormat, channels: int, second: Second | None) -> None:
        self._fmt = fmt
        self._second = None if second is None else second.padded(channels, fmt.vector_size)
        self._blocks = None if self._second is None else self._second.blocks(fmt.vector_size)

    def weights(self, w: Weights) -> tuple[npt.NDArray[np.int16], Gamma]:
        vectors, gamma, is_plain = self._coarse(w)
        values = lanes_of(w, gamma, self._fmt)
        errors, scales = self._of_vectors(values)
        found = vectors_of(values.add_(errors).div_(scales[:, None]).round_(), scales, w.shape)
        found[is_plain] = vectors[is_plain]
        return found, gamma

    def gamma(self, w: Weights) -> Gamma:
        return self._coarse(w)[1]

    def _coarse(self, w: Weights) -> tuple[npt.NDArray[np.int16], Gamma, npt.NDArray[np.bool]]:
        """The vectors of `quantize_weights`, the best coarse scales [K], and where these vectors are best."""
        vectors, coarsest = quantize_weights(w, self._fmt)
        values = lanes_of(w, coarsest, self._fmt)
        lanes = torch.from_numpy(vectors.reshape(len(w), -1, self._fmt.vector_size + 1)).permute(1, 2, 0)
        plain = lanes[:, :-1] * lanes[:, -1:].to(torch.float32) - values
        gammas = (coarsest.astype(np.float64) * COARSE[:, None]).astype(np.float32)
        gammas = np.where(gammas == 0, coarsest, gammas)  # the least float32 has no half
        parts = torch.from_numpy((gammas / coarsest.astype(np.float64)).astype(np.float32))
        errors = [plain, *(self._of_vectors(values / part)[0].mul_(part) for part in parts)]
        best = self._of_channels(torch.stack(errors, dim=2)).argmin(0).numpy()
        return vectors, np.take_along_axis(np.stack([coarsest, *gammas]), best[None], 0)[0], best == 0

    def _of_channels(self, errors: Tensor) -> Tensor:
        """[vectors, V, ...] to [...]."""
        return (
            errors.square().sum((0, 1)) if self._second is None else self._second.form(errors.flatten(0, 1))
        )

    def _of_vectors(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """With the scale of least error for each vector: the errors [vectors, V, K], and the scale."""
        peak = values.abs().amax(1)
        best, *others = (self._tried(values, scales) for scales in candidate_scales(peak, self._fmt))
        for tried in others:
            is_better = tried[2] < best[2]
            best = (
                torch.where(is_better[:, None], tried[0], best[0]),
                torch.where(is_better, tried[1], best[1]),
                torch.minimum(tried[2], best[2]),
            )
        return best[:2]

    def _tried(self, values: Tensor, scales: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The errors with `scales`, these, and what the errors add up to for each vector."""
        step = scales[:, None]
        errors = (values / step).round_().clamp_(self._fmt.lo, self._fmt.qmax).mul_(step).sub_(values)
        weighted = errors if self._blocks is None else torch.bmm(self._blocks, errors)
        return errors, scales, (weighted * errors).sum(1)
