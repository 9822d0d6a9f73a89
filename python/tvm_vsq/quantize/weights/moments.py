"""Moments of a layer's input, as it is and as it is quantized: what weights and biases are fitted to."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import CalibrationError, VsqWarning
from tvm_vsq.graph import definitions
from tvm_vsq.layers.steps import activation_gamma
from tvm_vsq.network import Window, source_of
from tvm_vsq.numerics import dequantize, quantize_activations
from tvm_vsq.quantize.activations.encodings import Encoding
from tvm_vsq.quantize.calibration import observe
from tvm_vsq.quantize.plan import Plan, Reading
from tvm_vsq.tvm_compat import IRModule

Array = npt.NDArray[Any]

_ROWS_PER_IMAGE = 256
"""Output positions of a convolution that are drawn from each image; neighbours say much the same."""

_FEWEST_ROWS = 16
"""With fewer, the moments describe the samples and not the data they were drawn from."""


def draw_windows(x: Array, window: Window, rng: np.random.Generator) -> Array:
    """x [N, H, W, C] to [rows, R, S, C], at up to 256 N output positions, each as likely as any other."""
    top, left, bottom, right = window.padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    span = tuple((extent - 1) * step + 1 for extent, step in zip(window.kernel, window.dilation, strict=True))
    views = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(1, 2))
    (down, across), (tall, wide) = window.strides, window.dilation
    views = views[:, ::down, ::across, :, ::tall, ::wide]
    count, limit = int(np.prod(views.shape[:3])), _ROWS_PER_IMAGE * len(x)
    chosen = np.arange(count) if count <= limit else np.sort(rng.choice(count, limit, replace=False))
    return views[np.unravel_index(chosen, views.shape[:3])].transpose(0, 2, 3, 1)


@dataclass(frozen=True)
class Moments:
    """Means over the input rows of a layer: x in fp32, y its quantized form, each of D = R*S*C/G or C values.

    second: float64[G, D, D], of y y^T. mean_x, mean_y: float64[G, D]. G are the groups of a convolution, else
    1; values are in the order of `weights.reshape(K, -1)`.
    """

    second: Array
    mean_x: Array
    mean_y: Array


@dataclass
class MomentSums:
    """Adds up the moments of layer `name` batch by batch; its input is quantized as `encoding` says."""

    name: str
    encoding: Encoding
    guard_bits: int
    window: Window | None
    rows: int = 0
    sums: list[Array] = field(default_factory=list)
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def add(self, x: Array) -> None:
        """Count a batch float32 [N, H, W, C] or [..., C]."""
        x = x.reshape(-1, x.shape[-1]) if self.window is None else draw_windows(x, self.window, self._rng)
        gamma = activation_gamma(self.encoding.limit, self.encoding.format)
        scales = self.encoding.static_scales(float(gamma)) or None
        vectors = quantize_activations(x, self.encoding.format, gamma, self.guard_bits, scales)
        fp32, quantized = (self._by_group(side) for side in (x, dequantize(vectors, gamma, x.shape[-1])))
        unit = quantized / np.float32(
            self.encoding.limit or 1.0
        )  # squares of anything else may leave float32
        sums = [unit.mT @ unit, *(side.sum(axis=1, dtype=np.float64) for side in (fp32, quantized))]
        self.rows += len(x)
        self.sums = (
            [total + part for total, part in zip(self.sums, sums, strict=True)]
            if self.sums
            else [part.astype(np.float64) for part in sums]
        )

    def _by_group(self, rows: Array) -> Array:
        """[rows, ..., C] to [G, rows, D]."""
        groups = 1 if self.window is None else self.window.groups
        split = rows.reshape(len(rows), -1, groups, rows.shape[-1] // groups)
        return np.ascontiguousarray(split.transpose(2, 0, 1, 3)).reshape(groups, len(rows), -1)

    def moments(self) -> Moments:
        """The means. Raises CalibrationError if there are too few rows for them to say anything."""
        if self.rows < _FEWEST_ROWS:
            raise CalibrationError(
                f"layer '{self.name}' has {self.rows} rows of calibration data, and fitting its weights and "
                f"bias to them takes {_FEWEST_ROWS}; give more samples, or QuantConfig.unfitted()"
            )
        second, mean_x, mean_y = (total / self.rows for total in self.sums)
        return Moments(second * float(self.encoding.limit or 1.0) ** 2, mean_x, mean_y)


def collect_moments(
    module: IRModule,
    plan: Plan,
    encodings: Mapping[Reading, Encoding],
    data: Any,
    guard_bits: int,
    strict: bool = False,
) -> dict[str, Moments]:
    """The moments of each layer of `plan` whose settings need them, by name.

    Looks at the data (see `tvm_vsq.quantize.data.batches`) once more if there are such layers. x is what the
    fp32 network computes: errors of the layers before are not part of it. A layer with too few rows is left
    out with a VsqWarning, or refused with a CalibrationError if `strict`.
    """
    calls = definitions(module["main"])
    fitted = [layer for layer in plan.layers if layer.has_weights and layer.config.needs_moments]
    if not fitted:
        return {}
    sums = [
        MomentSums(layer.name, encodings[layer.reads[0]], guard_bits, _window(calls[layer.chain.anchor]))
        for layer in fitted
    ]
    for values in observe(module, [layer.x for layer in fitted], data):
        for total, value in zip(sums, values, strict=True):
            total.add(value)
    moments = {}
    for layer, total in zip(fitted, sums, strict=True):
        try:
            moments[total.name] = total.moments()
        except CalibrationError as error:
            if strict:
                raise
            method = layer.config.weight_calibration
            method = "mse" if method == "output" else method
            unfitted = f"its bias stays, weights are rounded to nearest by weight_calibration='{method}'"
            warnings.warn(f"{error}; {unfitted}", VsqWarning, stacklevel=2)
    return moments


def _window(call: Any) -> Window | None:
    source = source_of(call)
    return None if source is None else source.window(call)
