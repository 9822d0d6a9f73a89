"""The triangular factor of a layer's second moment, some columns at a time, from a matrix or from rows."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from tvm_vsq.quantize.weights.second import Second, lower_factor

_DAMPING = 0.01
"""Added to the diagonal, as a part of its mean: what GPTQ uses (Frantar et al., section 3.3, step 2)."""

_FEWEST_COLUMNS = 256
"""Of a part."""


class Factor:
    """R, upper triangular, of H + damping I = R R^T, for columns in parts of whole vectors; errors come in as
    they are made, and what they leave to later columns goes out.

    Where H is that of few rows X, R is never there as a whole. As the columns after a part, X_l, are free, H
    of those up to it is damping (I + X^T A^-1 X) with A = damping I + X_l X_l^T, a matrix of rows by rows
    (the Woodbury identity). Factors are computed in float64.
    """

    def __init__(self, second: Second, channels: int, size: int) -> None:
        """second: of D values, where every `channels` of them are filled up to vectors of `size`."""
        self._damping = _DAMPING * second.mean or 1.0
        self._second, self._size = second.padded(channels, size), size
        self._so_far: Tensor | None = None

    def __iter__(self) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """Columns, R of them alone, and R^T of those before times their errors; None for the first ones."""
        if not self._second.of_rows:
            yield (
                slice(0, self._second.size),
                _factor(self._second.matrix().double(), self._damping).float(),
                None,
            )
            return
        rows = self._second.values
        count, columns = rows.shape
        step = -(-max(_FEWEST_COLUMNS, count) // self._size) * self._size
        parts = [slice(start, min(start + step, columns)) for start in range(0, columns, step)]
        free = torch.eye(count, dtype=torch.float64) * self._damping
        for part in parts:
            free.addmm_(rows[:, part].double(), rows[:, part].double().T)
        for part in parts:
            x = rows[:, part].double()
            free.addmm_(x, x.T, alpha=-1)
            lower = torch.linalg.cholesky(free)
            x = torch.linalg.solve_triangular(lower, x, upper=False)
            factor = _factor(self._damping * (x.T @ x), self._damping).float()
            yield part, factor, self._owed(x.float() * self._damping, lower.float(), factor)

    def add(self, part: slice, errors: Tensor) -> None:
        """Take the errors [columns, K] of the columns of `part` into account."""
        if self._second.of_rows:
            made = self._second.values[:, part] @ errors
            self._so_far = made if self._so_far is None else self._so_far.add_(made)

    def _owed(self, x: Tensor, lower: Tensor, factor: Tensor) -> Tensor | None:
        if self._so_far is None:
            return None
        so_far = torch.linalg.solve_triangular(lower, self._so_far, upper=False)
        owed: Tensor = torch.linalg.solve_triangular(factor, x.T @ so_far, upper=True)
        return owed


def _factor(matrix: Tensor, damping: float) -> Tensor:
    """R of `matrix` + damping I: a Cholesky factorization in reverse order."""
    return lower_factor(matrix.flip(0, 1), damping).flip(0, 1)
