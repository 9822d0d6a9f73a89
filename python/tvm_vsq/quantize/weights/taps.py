"""Weights of depthwise convolutions: each channel has its own input, and so few taps that all channels are
fitted at once.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import quantize_weights
from tvm_vsq.numerics.layout import join, split_channels
from tvm_vsq.quantize.config import LayerConfig
from tvm_vsq.quantize.weights.search import COARSE, candidate_scales

Array = npt.NDArray[Any]

_DAMPING = 0.01
"""Added to the diagonals of H, as a part of their mean, as in `reconstruct`."""

_MOST_SWEEPS = 16
"""Over the taps; nearly always nothing changes after four."""


def fit_taps(
    w: Array, second: Tensor, fmt: VectorFormat, config: LayerConfig
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Quantize filters `w` float32 [K, R, S] to vectors int16[K, R, SV, V+1] and gamma float32[K].

    second: [K, D, D], H = E[y y^T] of the D = R * S inputs y of each channel. Of config: candidates of scales
    are those of `search_weights`; "mse" takes those with the least error of the weights, "output" of the
    output, e^T H e, "max" the largest of each. With rounding "gptq" taps are then rounded one after the other
    to what makes up best for the errors of all others, as H says, until nothing changes: the aim of
    `reconstruct`, without an order of columns that matters.
    """
    fit = _Fit(w, second, fmt, config)
    best = fit.tried(1.0)
    for part in COARSE[1:] if config.weight_calibration != "max" else ():
        best = best.or_better(fit.tried(float(part)))
    lanes = split_channels(best.elements.reshape(w.shape).numpy().astype(np.int16), fmt)
    vectors = join(lanes, best.scales.reshape(lanes.shape[:-1]).numpy())
    return vectors, best.gamma.numpy().astype(np.float32)


@dataclass(frozen=True)
class _Tried:
    """What a coarse scale gives: cost and gamma [K], scales [K, vectors], elements [K, D]."""

    cost: Tensor
    gamma: Tensor
    scales: Tensor
    elements: Tensor

    def or_better(self, other: _Tried) -> _Tried:
        """Of each channel, what costs less."""
        is_better = other.cost < self.cost
        pairs = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return _Tried(
            *(torch.where(is_better.reshape(-1, *[1] * (old.ndim - 1)), new, old) for old, new in pairs)
        )


class _Fit:
    def __init__(self, w: Array, second: Tensor, fmt: VectorFormat, config: LayerConfig) -> None:
        self._fmt, self._config = fmt, config
        self._values = torch.from_numpy(w.astype(np.float64)).flatten(1)
        self._vector = _vectors_of_taps(w.shape, fmt)
        self._second = _damped(second.double())
        self._plain, largest = quantize_weights(w, fmt, config.weight_order)
        self._largest = torch.from_numpy(largest.astype(np.float64))
        eye = torch.eye(second.shape[-1], dtype=torch.float64)
        self._metric = self._second if config.weight_calibration == "output" else eye.expand_as(self._second)

    def tried(self, part: float) -> _Tried:
        """With the coarse scales that are this part of those for the largest weights."""
        fmt, is_descending = self._fmt, self._config.weight_rounding == "gptq"
        gamma = (self._largest * part).float().double()
        gamma = torch.where(gamma == 0, self._largest, gamma)  # the least float32 has no half
        aims = self._values / gamma[:, None]
        if self._config.weight_calibration == "max":
            scales = torch.from_numpy(self._plain[..., -1].astype(np.float64)).flatten(1)
            elements = torch.from_numpy(self._plain[..., :-1].astype(np.float64)).flatten(-2)
            elements = elements[..., : self._values.shape[1] // elements.shape[1]].flatten(1)
        else:
            scales = _scales(aims, self._metric, self._vector, fmt)
            elements = (aims / scales[:, self._vector]).round_().clamp_(fmt.lo, fmt.qmax)
        steps = scales[:, self._vector]
        if is_descending:
            elements = _descend(elements, aims, steps, self._second, fmt)
        cost = _form(self._second if is_descending else self._metric, elements * steps - aims)
        return _Tried(cost * gamma.square(), gamma, scales, elements)


def _damped(h: Tensor) -> Tensor:
    """H [K, D, D] with a part of its mean on the diagonal; the identity for a channel that has no input."""
    eye, mean = torch.eye(h.shape[-1], dtype=h.dtype), h.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    return torch.where(mean > 0, h + _DAMPING * mean * eye, eye)


def _vectors_of_taps(shape: tuple[int, ...], fmt: VectorFormat) -> Tensor:
    """[D]: the number of the vector that each tap of kernels [K, R, S] belongs to."""
    _, rows, columns = shape
    row, column = torch.arange(rows)[:, None], torch.arange(columns)[None]
    return (row * fmt.vectors(columns) + column // fmt.vector_size).flatten()


def _form(h: Tensor, errors: Tensor) -> Tensor:
    """e^T H e of each row of `errors` [K, D]."""
    return torch.einsum("kd,kde,ke->k", errors, h, errors)


def _scales(aims: Tensor, metric: Tensor, vector: Tensor, fmt: VectorFormat) -> Tensor:
    """[K, vectors]: for each the candidate with the least error of its own block, rounded to nearest."""
    chosen = []
    for number in range(int(vector[-1]) + 1):
        part = torch.nonzero(vector == number).flatten()
        lanes, block = aims[:, part], metric[:, part][:, :, part]
        candidates = candidate_scales(lanes.abs().amax(1), fmt)
        costs = []
        for scale in candidates:
            step = scale[:, None]
            errors = (lanes / step).round_().clamp_(fmt.lo, fmt.qmax) * step - lanes
            costs.append(_form(block, errors))
        best = torch.stack(costs).argmin(0)
        chosen.append(torch.stack(candidates).gather(0, best[None])[0])
    return torch.stack(chosen, dim=1)


def _descend(elements: Tensor, aims: Tensor, steps: Tensor, h: Tensor, fmt: VectorFormat) -> Tensor:
    """Coordinate descent on e^T H e over the integers [K, D]."""
    elements, diagonal = elements.clone(), h.diagonal(dim1=1, dim2=2)
    errors = elements * steps - aims
    for _ in range(_MOST_SWEEPS):
        before = elements.clone()
        for tap in range(aims.shape[1]):
            others = (h[:, tap] * errors).sum(1) - diagonal[:, tap] * errors[:, tap]
            best = (aims[:, tap] - others / diagonal[:, tap]) / steps[:, tap]
            elements[:, tap] = best.round_().clamp_(fmt.lo, fmt.qmax)
            errors[:, tap] = elements[:, tap] * steps[:, tap] - aims[:, tap]
        if torch.equal(before, elements):
            break
    return elements
