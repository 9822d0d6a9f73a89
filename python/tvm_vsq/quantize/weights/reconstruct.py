"""Weights rounded so that the layer's output is kept, not each weight: GPTQ on vectors with integer scales.

Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", ICLR
2023, section 3: columns are rounded one after the other, and those that are still free make up for the
errors so far, as the second moment H of the layer's input says. The paper updates the free columns by the
Cholesky factor of the inverse of H. Here R with H = R R^T, upper triangular, gives the same without an
inverse: errors e cost |R^T e|^2, whose term i depends on columns up to i alone, so that column i would best
be rounded from where that term is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tvm_vsq.formats import VectorFormat
from tvm_vsq.quantize.weights.factor import Factor
from tvm_vsq.quantize.weights.lanes import lanes_of, vectors_of
from tvm_vsq.quantize.weights.search import candidate_scales
from tvm_vsq.quantize.weights.second import Second

Array = npt.NDArray[Any]


def reconstruct(
    w: Array, second: Second, gamma: npt.NDArray[np.float32], scales: Array | None, fmt: VectorFormat
) -> npt.NDArray[np.int16]:
    """Quantize `w` [K, R, S, C] or [K, C] to vectors int16[K, ..., CV, V+1], given coarse scales `gamma` [K].

    second: of the layer's quantized input, D = R*S*C values. scales: int[K, ..., CV], or None to choose
    each vector's scale when its turn comes: of those that `search_weights` tries, the one that adds least to
    the error of the output.
    """
    size = fmt.vector_size
    values = lanes_of(w, gamma, fmt)
    given = None if scales is None else torch.from_numpy(scales.reshape(len(w), -1).T.astype(np.float32))
    elements, chosen = torch.zeros(values.shape, dtype=torch.int16), torch.empty(len(values), len(w))
    used = [min(size, w.shape[-1] - start) for start in range(0, w.shape[-1], size)]
    factor = Factor(second, w.shape[-1], size)
    for part, triangle, owed in factor:
        aims = values.flatten(0, 1)[part]
        errors, weight = torch.zeros_like(aims), triangle.diagonal()[:, None].clone()
        due = aims if owed is None else aims - owed / weight
        triangle /= weight.T
        for start in range(0, len(aims), size):
            vector = (part.start + start) // size
            lanes = slice(start, start + used[vector % len(used)])
            free = torch.addmm(due[lanes], triangle[:start, lanes].T, errors[:start], alpha=-1)
            block = _Block(aims[lanes], triangle[lanes, lanes], weight[lanes])
            peak = block.unrounded(free).abs().amax(0)
            steps = torch.stack(candidate_scales(peak, fmt)) if given is None else given[vector, None]
            tried = block.rounded(free, steps, fmt)
            best = block.added(free, tried[1]).argmin(0, keepdim=True)
            chosen[vector] = steps.gather(0, best)[0]
            elements[vector, : len(free)], errors[lanes] = (
                side.gather(1, best.expand(len(side), 1, -1))[:, 0] for side in tried
            )
        factor.add(part, errors)
    return vectors_of(elements, chosen, w.shape)


@dataclass(frozen=True)
class _Block:
    """One vector of each of K channels: aims [V, K], and of the factor triangle [V, V], with 1 on its
    diagonal, and weight [V, 1], which was there.
    """

    aims: Tensor
    triangle: Tensor
    weight: Tensor

    def unrounded(self, free: Tensor) -> Tensor:
        """[V, K]: what the vector would best be."""
        errors: Tensor = torch.linalg.solve_triangular(
            self.triangle.T, free - self.aims, upper=False, unitriangular=True
        )
        return self.aims + errors

    def rounded(self, free: Tensor, steps: Tensor, fmt: VectorFormat) -> tuple[Tensor, Tensor]:
        """Elements and errors [V, n, K], lane after lane, for candidates [n, K] of the scale.

        free: [V, K], what the lanes would be if the vector's own errors left nothing to them.
        """
        free, aims = (side[:, None].expand(-1, *steps.shape).flatten(1) for side in (free, self.aims))
        elements, errors = torch.empty_like(free), torch.empty_like(free)
        flat = steps.flatten()
        for lane in range(len(free)):
            here = torch.addmv(free[lane], errors[:lane].T, self.triangle[:lane, lane], alpha=-1)
            torch.div(here, flat, out=elements[lane]).round_().clamp_(fmt.lo, fmt.qmax)
            torch.mul(elements[lane], flat, out=errors[lane]).sub_(aims[lane])
        return elements.reshape(-1, *steps.shape), errors.reshape(-1, *steps.shape)

    def added(self, free: Tensor, errors: Tensor) -> Tensor:
        """[n, K]: what `errors` [V, n, K] add to that of the layer's output."""
        left = (self.triangle.T @ errors.flatten(1)).reshape(errors.shape)
        return left.add_((self.aims - free)[:, None]).mul_(self.weight[..., None]).square_().sum(0)
