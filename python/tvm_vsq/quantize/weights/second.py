"""The second moment of a layer's input, in the form that takes less memory: a matrix, or rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_MOST_VALUES = 1 << 26
"""In one layer's second moment, 256 MiB: with more than 8192 inputs, some rows stand for all."""

_ROWS_AT_ONCE = 1024
"""That are held before their products are added to a matrix."""

_SIDES_AT_ONCE = 256
"""For which equations are solved, in float64."""

_MOST_DAMPINGS = 12
"""Each ten times the one before."""

_LEAST_VARIATION = 2.0**-16
"""Of the square of a layer's input; less is what rounding in float32 leaves of a difference."""


def lower_factor(matrix: Tensor, damping: float) -> Tensor:
    """The lower triangular L of `matrix` + damping I = L L^T; the matrix is overwritten.

    Damping grows where it is less than what rounding takes from an eigenvalue.
    """
    lower: Tensor
    for _ in range(_MOST_DAMPINGS):
        matrix.diagonal().add_(damping)
        lower, failed = torch.linalg.cholesky_ex(matrix)
        if not failed:
            return lower
        damping *= 10
    lower = torch.linalg.cholesky(matrix)
    return lower


@dataclass(frozen=True)
class Second:
    """H = E[y y^T] over the rows y of a layer's input, of D values each.

    values: float32, H [D, D] itself, or if `of_rows` [n, D], whose products with themselves add up to it.
    """

    values: Tensor
    of_rows: bool = False

    @property
    def size(self) -> int:
        """D."""
        return int(self.values.shape[-1])

    @property
    def mean(self) -> float:
        """Of the diagonal."""
        diagonal = self.values.square().sum(0) if self.of_rows else self.values.diagonal()
        return float(diagonal.mean(dtype=torch.float64))

    def matrix(self) -> Tensor:
        """H."""
        return self.values.T @ self.values if self.of_rows else self.values

    def solved(self, sides: Tensor, damping: float) -> Tensor:
        """(H + damping I)^-1 times `sides` [D, K], in float64 in between."""
        values = self.values.double()
        # from rows, the Woodbury identity: a matrix of rows by rows is smaller
        matrix = values @ values.T if self.of_rows else values.clone()
        lower = lower_factor(matrix, damping)
        solved = []
        for start in range(0, sides.shape[1], _SIDES_AT_ONCE):
            right = sides[:, start : start + _SIDES_AT_ONCE].double()
            if self.of_rows:
                right -= values.T @ torch.cholesky_solve(values @ right, lower)
                solved.append((right / damping).float())
            else:
                solved.append(torch.cholesky_solve(right, lower).float())
        return torch.cat(solved, dim=1)

    def centred(self, mean: Tensor) -> Second:
        """H - mean mean^T: about the mean [D] of the rows.

        Of an input that hardly varies, as if each of its values varied by itself.
        """
        mean = mean.to(self.values.dtype)
        if self.of_rows:
            varied = Second(self.values - mean / len(self.values) ** 0.5, of_rows=True)
        else:
            varied = Second(self.values - torch.outer(mean, mean))
        missing = _LEAST_VARIATION * self.mean - varied.mean
        if missing <= 0 or self.size**2 > _MOST_VALUES:
            return varied
        matrix = varied.matrix()
        matrix.diagonal().add_(missing)
        return Second(matrix)

    def form(self, errors: Tensor) -> Tensor:
        """e^T H e of each column e of `errors` [D, ...]."""
        flat = errors.flatten(1)
        product = self.values @ flat
        product.mul_(product if self.of_rows else flat)
        return product.sum(0).reshape(errors.shape[1:])

    def blocks(self, size: int) -> Tensor:
        """[D / size, size, size]: H between the `size` values of each vector."""
        if self.of_rows:
            vectors = self.values.reshape(len(self.values), -1, size).transpose(0, 1)
            return torch.bmm(vectors.mT, vectors)
        blocks = self.values.reshape(self.size // size, size, -1, size)
        return blocks.diagonal(dim1=0, dim2=2).permute(2, 0, 1).contiguous()

    def padded(self, channels: int, size: int) -> Second:
        """With zeros that fill up every `channels` values to whole vectors of `size`."""
        missing = -channels % size
        if not missing:
            return self
        values = _fill(self.values, channels, missing)
        return Second(values if self.of_rows else _fill(values.T, channels, missing), self.of_rows)


@dataclass
class SecondSum:
    """Adds up a second moment of `size` values from rows, batch by batch.

    Rows are kept while there are fewer than half as many as values: what is made of them then takes less
    time, too. Where a matrix does not fit `_MOST_VALUES`, as many rows as do are drawn, each as likely as any
    other.
    """

    size: int
    count: int = 0
    _held: list[Tensor] = field(default_factory=list)
    _matrix: Tensor | None = None
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    @property
    def most_values(self) -> int:
        """That it will ever hold, but for rows that wait for their products."""
        return min(self.size**2, _MOST_VALUES)

    def add(self, rows: Tensor) -> None:
        """Count rows float32 [n, size], which are kept."""
        if self.size**2 > _MOST_VALUES:
            self._draw(rows)
        else:
            self._held.append(rows)
            limit = self.size // 2 if self._matrix is None else _ROWS_AT_ONCE
            if sum(map(len, self._held)) > limit:
                self._fold()
        self.count += len(rows)

    def second(self) -> Second:
        """The mean."""
        if self._matrix is None:
            rows = torch.cat(self._held)
            return Second(rows / len(rows) ** 0.5, of_rows=True)
        self._fold()
        return Second(self._matrix / self.count)

    def _fold(self) -> None:
        rows = torch.cat([*self._held, torch.empty(0, self.size)]).numpy()
        self._held = []
        products = torch.from_numpy(rows.T @ rows)  # NumPy computes one half, which torch does not
        self._matrix = products if self._matrix is None else self._matrix.add_(products)

    def _draw(self, rows: Tensor) -> None:
        """Algorithm R (Vitter, "Random sampling with a reservoir", ACM TOMS 1985)."""
        limit = _MOST_VALUES // self.size
        room = max(limit - self.count, 0)
        self._held.append(rows[:room])
        if len(rows) > room:
            self._held = [torch.cat(self._held)] if len(self._held) > 1 else self._held
            places = self._rng.integers(np.arange(self.count + room, self.count + len(rows)) + 1)
            for place, row in zip(places, rows[room:], strict=True):
                if place < limit:
                    self._held[0][place] = row


@dataclass
class GroupSums:
    """Adds up the second moments of `groups` groups of `size` values each, all at once."""

    size: int
    groups: int
    count: int = 0

    def __post_init__(self) -> None:
        self._alone = SecondSum(self.size) if self.groups == 1 else None
        shape = (0, 0, 0) if self._alone else (self.groups, self.size, self.size)
        self._matrices = torch.zeros(shape)

    @property
    def most_values(self) -> int:
        """As for `SecondSum`."""
        return self._matrices.numel() if self._alone is None else self._alone.most_values

    def add(self, rows: Tensor) -> None:
        """Count rows float32 [groups, n, size]."""
        if self._alone is not None:
            self._alone.add(rows[0])
        else:
            self._matrices.baddbmm_(rows.mT, rows)
            self.count += rows.shape[1]

    def second(self) -> list[Second]:
        """The mean of each group."""
        if self._alone is not None:
            return [self._alone.second()]
        return [Second(matrix) for matrix in self._matrices / self.count]


def _fill(values: Tensor, channels: int, missing: int) -> Tensor:
    return F.pad(values.reshape(len(values), -1, channels), (0, missing)).flatten(1)
