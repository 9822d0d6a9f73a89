"""Moments of a layer's input, as it is and as it is quantized: what weights and biases are fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from tvm_vsq.errors import CalibrationError
from tvm_vsq.layers.steps import activation_gamma
from tvm_vsq.network import Window
from tvm_vsq.numerics import inverse_step
from tvm_vsq.quantize.activations.encodings import Encoding
from tvm_vsq.quantize.weights.second import GroupSums, Second
from tvm_vsq.torch_graph.spatial import widths
from tvm_vsq.torch_graph.vectors import integer_steps, requantize, scaled_elements

Array = npt.NDArray[Any]

_ROWS_PER_IMAGE = 256
"""Output positions of a convolution that are drawn from each image; neighbours say much the same."""

_ROWS_PER_VALUE = 4
"""That are drawn at most from each image of a convolution with groups, for each value of a group."""

_FEWEST_ROWS = 16
"""With fewer, the moments describe the samples and not the data they were drawn from."""


def windows_of(x: Tensor, window: Window) -> Tensor:
    """What `window` reads of x [N, H, W, C] at each output position: a view [N, OH, OW, R, S, C]."""
    views = F.pad(x, [0, 0, *widths(window.padding)])
    for axis in (0, 1):
        span = (window.kernel[axis] - 1) * window.dilation[axis] + 1
        views = views.unfold(1 + axis, span, window.strides[axis])
    down, across = window.dilation
    return views[..., ::down, ::across].permute(0, 1, 2, 4, 5, 3)


def draw_positions(
    views: Tensor, rng: np.random.Generator, per_image: int = _ROWS_PER_IMAGE
) -> tuple[Tensor, ...]:
    """Indices of `windows_of`, up to `per_image` * N of them, each as likely as any other."""
    count, limit = int(np.prod(views.shape[:3])), per_image * len(views)
    chosen = np.arange(count) if count <= limit else np.sort(rng.choice(count, limit, replace=False))
    return torch.unravel_index(torch.from_numpy(chosen), views.shape[:3])


def as_read(x: Tensor, encoding: Encoding, guard_bits: int) -> Tensor:
    """x [..., C] as a layer reads it, over the limit: squares of anything else may leave float32."""
    form = encoding.format
    gamma = activation_gamma(encoding.limit, form)
    steps = integer_steps(x, float(inverse_step(gamma, guard_bits)))
    vectors = requantize(steps, form, guard_bits, encoding.static_scales(float(gamma)))
    values = scaled_elements(vectors, torch.float32).flatten(-2)[..., : x.shape[-1]]
    return values / (form.qmax * form.smax)


@dataclass(frozen=True)
class Moments:
    """Means over the input rows of a layer: x in fp32, y what the layer gets instead, quantized, each of
    D = R*S*C/G or C values.

    second: of y / limit, for each of G groups of a convolution, else for one. mean_x, mean_y: float64[G, D].
    owed: float32[G, K/G, D], the mean of W (x - y) y^T / limit^2: what goes with y of that which the outputs
    lose by reading it; None if it is not asked for.
    Values are in the order of `weights.reshape(K, -1)`.
    """

    second: Sequence[Second]
    mean_x: Array
    mean_y: Array
    owed: Tensor | None = None


@dataclass
class MomentSums:
    """Adds up the moments of layer `name` batch by batch; its input is quantized as `encoding` says.

    values: D, of each group. window: of a convolution. centred: whether second moments are about the means,
    which a corrected bias takes care of. weights: float32[K, R, S, C] or [K, C], if `owed` is asked for.
    """

    name: str
    encoding: Encoding
    guard_bits: int
    values: int
    window: Window | None
    centred: bool = False
    weights: Array | None = None
    rows: int = 0
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def __post_init__(self) -> None:
        groups = 1 if self.window is None else self.window.groups
        self._groups = groups
        self._seconds = GroupSums(self.values, groups)
        self._means = np.zeros((2, groups, self.values))
        self._kernels = self._owed = None
        if self.weights is not None:
            self._kernels = torch.from_numpy(self.weights).float().reshape(groups, -1, self.values)
            self._owed = torch.zeros(self._kernels.shape)

    def add(self, x: Array, y: Array | None = None) -> None:
        """Count a batch float32 [N, H, W, C] or [..., C].

        y: what the layer gets instead, yet to be quantized; x itself if it is not given.
        """
        sides = (torch.from_numpy(side) for side in (x, x if y is None else y))
        fp32, quantized = (self._by_group(side) for side in self._rows(*sides))
        self.rows += fp32.shape[1]
        self._means += [side.sum(1, dtype=torch.float64).numpy() for side in (fp32, quantized)]
        self._seconds.add(quantized)
        if self._kernels is not None and self._owed is not None:
            lost = torch.bmm(fp32 / self._limit - quantized, self._kernels.mT)
            self._owed.baddbmm_(lost.mT, quantized)

    def moments(self) -> Moments:
        """The means. Raises CalibrationError if there are too few rows for them to say anything."""
        if self.rows < _FEWEST_ROWS:
            raise CalibrationError(
                f"layer '{self.name}' has {self.rows} rows of calibration data, and fitting its weights and "
                f"bias to them takes {_FEWEST_ROWS}; give more samples, or QuantConfig.unfitted()"
            )
        mean_x, mean_y = self._means / self.rows
        seconds = self._seconds.second()
        owed = None if self._owed is None else self._owed / self.rows
        if self.centred:
            means = torch.from_numpy(mean_y)
            seconds = [second.centred(mean) for second, mean in zip(seconds, means, strict=True)]
            if owed is not None and self._kernels is not None:
                shift = torch.from_numpy(mean_x / self._limit - mean_y).float()
                owed.baddbmm_(torch.bmm(self._kernels, shift[..., None]), means[:, None].float(), alpha=-1)
        return Moments(seconds, mean_x, mean_y * self._limit, owed)

    @property
    def _limit(self) -> float:
        return float(self.encoding.limit or 1.0)

    def _rows(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """[rows, ..., C] of x, and of y quantized, over the limit."""
        if self.window is None:
            rows, others = (side.reshape(-1, side.shape[-1]) for side in (x, y))
            return rows, self._quantized(others)
        views = windows_of(x, self.window)
        most = _ROWS_PER_IMAGE if self._groups == 1 else min(_ROWS_PER_IMAGE, _ROWS_PER_VALUE * self.values)
        drawn = draw_positions(views, self._rng, most)
        rows = views[drawn]
        if rows.numel() <= x.numel():
            return rows, self._quantized(windows_of(y, self.window)[drawn])
        return rows, windows_of(self._quantized(y), self.window)[drawn]

    def _quantized(self, x: Tensor) -> Tensor:
        return as_read(x, self.encoding, self.guard_bits)

    def _by_group(self, rows: Tensor) -> Tensor:
        """[rows, ..., C] to [G, rows, D]."""
        split = rows.reshape(len(rows), -1, self._groups, rows.shape[-1] // self._groups)
        return split.permute(2, 0, 1, 3).reshape(self._groups, len(rows), -1)
