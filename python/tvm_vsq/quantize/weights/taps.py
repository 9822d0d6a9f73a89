"""Weights of depthwise convolutions: each channel has its own input, and so few taps that all channels are
fitted at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import quantize_weights
from tvm_vsq.numerics.layout import join, split_channels
from tvm_vsq.quantize.weights.search import COARSE, candidate_scales

Array = npt.NDArray[Any]

_DAMPING = 0.01
"""Added to the diagonals of H, as a part of their mean, as in `reconstruct`."""

_MOST_SWEEPS = 16
"""Over the taps; nearly always nothing changes after four."""


def fit_taps(
    w: Array, second: Tensor, fmt: VectorFormat, calibration: str, rounding: str
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Quantize filters `w` float32 [K, R, S] to vectors int16[K, R, SV, V+1] and gamma float32[K].

    second: [K, D, D], D = R * S, H = E[y y^T] of the D inputs y of each channel. Scales are those that `search_weights` has
    for candidates, with the least error of the weights if calibration is "mse", of the output, e^T H e, if it is
    "output"; "max" takes the largest of each. With rounding "gptq" taps are then rounded one after the other to
    what makes up best for the errors of all others, as H says, until nothing changes: the aim of `reconstruct`,
    of which the order of columns makes no difference here.
    """
    values, h = torch.from_numpy(w.astype(np.float64)).flatten(1), second.double()
    vector = _vectors_of_taps(w.shape, fmt)
    h = h + torch.eye(h.shape[-1], dtype=h.dtype) * (_DAMPING * h.diagonal(dim1=1, dim2=2).mean(1))[:, None, None]
    h = torch.where(h.diagonal(dim1=1, dim2=2).sum(1)[:, None, None] > 0, h, torch.eye(h.shape[-1], dtype=h.dtype))
    vectors, largest = quantize_weights(w, fmt)
    metric = h if calibration == "output" else torch.eye(h.shape[-1], dtype=h.dtype).expand_as(h)
    parts = [1.0] if calibration == "max" else COARSE
    best: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
    for part in parts:
        gamma = torch.from_numpy((largest.astype(np.float64) * part).astype(np.float32)).double()
        gamma = torch.where(gamma == 0, torch.from_numpy(largest).double(), gamma)
        aims = values / gamma[:, None]
        if calibration == "max":
            scales = torch.from_numpy(vectors[..., -1].astype(np.float64)).flatten(1)
        else:
            scales = _scales(aims, metric, vector, fmt)
        steps = scales[:, vector]
        elements = (aims / steps).round_().clamp_(fmt.lo, fmt.qmax)
        if rounding == "gptq":
            elements = _descend(elements, aims, steps, h, fmt)
        errors = elements * steps - aims
        cost = _form(h if rounding == "gptq" else metric, errors) * gamma.square()
        found = (cost, gamma, scales, elements)
        best = found if best is None else _better(best, found)
    _, gamma, scales, elements = best or (None, None, None, None)  # there is at least one part
    lanes = split_channels(elements.reshape(w.shape).numpy().astype(np.int16), fmt)
    return join(lanes, scales.reshape(lanes.shape[:-1]).numpy()), gamma.numpy().astype(np.float32)


def _vectors_of_taps(shape: tuple[int, ...], fmt: VectorFormat) -> Tensor:
    """[D]: the number of the vector that each tap of kernels [K, R, S] belongs to."""
    _, rows, columns = shape
    row, column = torch.arange(rows)[:, None], torch.arange(columns)[None]
    return (row * fmt.vectors(columns) + column // fmt.vector_size).flatten()


def _better(best: tuple[Tensor, ...], found: tuple[Tensor, ...]) -> Any:
    """Of each channel, what costs less."""
    is_better = found[0] < best[0]
    return tuple(
        torch.where(is_better.reshape(-1, *[1] * (old.ndim - 1)), new, old)
        for old, new in zip(best, found, strict=True)
    )


def _form(h: Tensor, errors: Tensor) -> Tensor:
    """e^T H e of each row of `errors` [K, D]."""
    return torch.einsum("kd,kde,ke->k", errors, h, errors)


def _scales(aims: Tensor, metric: Tensor, vector: Tensor, fmt: VectorFormat) -> Tensor:
    """[K, vectors]: for each vector the candidate with the least error of its own block, rounded to nearest."""
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
