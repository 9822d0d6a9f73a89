"""Moments of a layer's input, as it is and as it is quantized: what weights and biases are fitted to."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from tvm_vsq.errors import CalibrationError, VsqWarning
from tvm_vsq.graph import definitions, static_shape
from tvm_vsq.layers.steps import activation_gamma
from tvm_vsq.network import Window, source_of, weight_form
from tvm_vsq.numerics import inverse_step
from tvm_vsq.quantize.activations.encodings import Encoding
from tvm_vsq.quantize.calibration import observe
from tvm_vsq.quantize.plan import Plan, QuantizedLayer, Reading
from tvm_vsq.quantize.weights.second import GroupSums, Second
from tvm_vsq.torch_graph.spatial import widths
from tvm_vsq.torch_graph.vectors import integer_steps, requantize, scaled_elements
from tvm_vsq.tvm_compat import IRModule

Array = npt.NDArray[Any]

_ROWS_PER_IMAGE = 256
"""Output positions of a convolution that are drawn from each image; neighbours say much the same."""

_ROWS_PER_VALUE = 4
"""That are drawn at most from each image of a convolution with groups, for each value of a group."""

_FEWEST_ROWS = 16
"""With fewer, the moments describe the samples and not the data they were drawn from."""

_BYTES_AT_ONCE = 1 << 30
"""Of second moments that are held together: layers that need more take other passes over the data."""


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


@dataclass(frozen=True)
class Moments:
    """Means over the input rows of a layer: x in fp32, y its quantized form, each of D = R*S*C/G or C values.

    second: of y / limit, for each of G groups of a convolution, else for one. mean_x, mean_y: float64[G, D].
    Values are in the order of `weights.reshape(K, -1)`.
    """

    second: Sequence[Second]
    mean_x: Array
    mean_y: Array


@dataclass
class MomentSums:
    """Adds up the moments of layer `name` batch by batch; its input is quantized as `encoding` says.

    values: D, of each group. window: of a convolution. centred: whether the second moments of several groups
    are about their means, which a corrected bias takes care of.
    """

    name: str
    encoding: Encoding
    guard_bits: int
    values: int
    window: Window | None
    centred: bool = False
    rows: int = 0
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def __post_init__(self) -> None:
        groups = 1 if self.window is None else self.window.groups
        self._groups = groups
        self._seconds = GroupSums(self.values, groups)
        self._means = np.zeros((2, groups, self.values))

    @property
    def most_bytes(self) -> int:
        """Of the second moment, in float32, however many rows there are."""
        return 4 * self._seconds.most_values

    def add(self, x: Array) -> None:
        """Count a batch float32 [N, H, W, C] or [..., C]."""
        fp32, quantized = (self._by_group(side) for side in self._rows(torch.from_numpy(x)))
        self.rows += fp32.shape[1]
        self._means += [side.sum(1, dtype=torch.float64).numpy() for side in (fp32, quantized)]
        self._seconds.add(quantized)

    def moments(self) -> Moments:
        """The means. Raises CalibrationError if there are too few rows for them to say anything."""
        if self.rows < _FEWEST_ROWS:
            raise CalibrationError(
                f"layer '{self.name}' has {self.rows} rows of calibration data, and fitting its weights and "
                f"bias to them takes {_FEWEST_ROWS}; give more samples, or QuantConfig.unfitted()"
            )
        mean_x, mean_y = self._means / self.rows
        seconds = self._seconds.second()
        if self.centred and self._groups > 1:
            means = torch.from_numpy(mean_y)
            seconds = [second.centred(mean) for second, mean in zip(seconds, means, strict=True)]
        return Moments(seconds, mean_x, mean_y * float(self.encoding.limit or 1.0))

    def _rows(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[rows, ..., C] of x, and quantized, over the limit."""
        if self.window is None:
            rows = x.reshape(-1, x.shape[-1])
            return rows, self._quantized(rows)
        views = windows_of(x, self.window)
        most = _ROWS_PER_IMAGE if self._groups == 1 else min(_ROWS_PER_IMAGE, _ROWS_PER_VALUE * self.values)
        drawn = draw_positions(views, self._rng, most)
        rows = views[drawn]
        if rows.numel() <= x.numel():
            return rows, self._quantized(rows)
        return rows, windows_of(self._quantized(x), self.window)[drawn]

    def _quantized(self, x: Tensor) -> Tensor:
        """x [..., C] as the layer reads it, over the limit: squares of anything else may leave float32."""
        form = self.encoding.format
        gamma = activation_gamma(self.encoding.limit, form)
        steps = integer_steps(x, float(inverse_step(gamma, self.guard_bits)))
        vectors = requantize(steps, form, self.guard_bits, self.encoding.static_scales(float(gamma)))
        values = scaled_elements(vectors, torch.float32).flatten(-2)[..., : x.shape[-1]]
        return values / (form.qmax * form.smax)

    def _by_group(self, rows: Tensor) -> Tensor:
        """[rows, ..., C] to [G, rows, D]."""
        split = rows.reshape(len(rows), -1, self._groups, rows.shape[-1] // self._groups)
        return split.permute(2, 0, 1, 3).reshape(self._groups, len(rows), -1)


def moments_by_layer(
    module: IRModule, plan: Plan, encodings: Mapping[Reading, Encoding], data: Any, guard_bits: int
) -> Iterator[tuple[QuantizedLayer, Moments | None]]:
    """The layers of `plan` that have weights, with the moments of those whose settings need them.

    Looks at the data (see `tvm_vsq.quantize.data.batches`) once more if there are such layers, or as often as
    `_BYTES_AT_ONCE` makes necessary; no moments are held once the next ones are asked for. x is what the
    fp32 network computes: errors of the layers before are not part of it. A layer with too few rows is left
    without them, with a VsqWarning, or refused with a CalibrationError if `plan.strict`.
    """
    for layers in _passes(module, plan, encodings, guard_bits):
        sums = [total for _, total in layers if total is not None]
        if sums:
            points = [layer.x for layer, total in layers if total is not None]
            for values in observe(module, points, data):
                for total, value in zip(sums, values, strict=True):
                    total.add(value)
        while layers:
            layer, found = layers.pop(0)
            yield layer, None if found is None else _moments(layer, found, plan.strict)


def _passes(
    module: IRModule, plan: Plan, encodings: Mapping[Reading, Encoding], guard_bits: int
) -> Iterator[list[tuple[QuantizedLayer, MomentSums | None]]]:
    """The layers in program order, in groups whose moments are held together."""
    calls = definitions(module["main"])
    group: list[tuple[QuantizedLayer, MomentSums | None]] = []
    held = 0
    for layer in plan.layers:
        if not layer.has_weights:
            continue
        total = None
        if layer.config.needs_moments:
            call: Any = calls[layer.chain.anchor]
            shape = static_shape(call.args[1])
            values = math.prod(shape) // shape[weight_form(call).outputs]
            total = MomentSums(
                layer.name,
                encodings[layer.reads[0]],
                guard_bits,
                values,
                _window(call),
                centred=layer.config.bias_correction,
            )
            if held and held + total.most_bytes > _BYTES_AT_ONCE:
                yield group
                group, held = [], 0
            held += total.most_bytes
        group.append((layer, total))
    yield group


def _moments(layer: QuantizedLayer, total: MomentSums, strict: bool) -> Moments | None:
    try:
        return total.moments()
    except CalibrationError as error:
        if strict:
            raise
        method = layer.config.weight_calibration
        method = "mse" if method == "output" else method
        unfitted = f"its bias stays, weights are rounded to nearest by weight_calibration='{method}'"
        warnings.warn(f"{error}; {unfitted}", VsqWarning, stacklevel=2)
        return None


def _window(call: Any) -> Window | None:
    source = source_of(call)
    return None if source is None else source.window(call)
