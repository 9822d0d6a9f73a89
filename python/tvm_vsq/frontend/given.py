"""What a model that was quantized elsewhere brings with it: integer weights, and ranges of layers' inputs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm

from tvm_vsq.tvm_compat import IRModule

Array = npt.NDArray[Any]

_WEIGHTS = "vsq_given_weights"
_LIMITS = "vsq_given_limits"
_CLIPS = "vsq_given_clips"


@dataclass(frozen=True)
class GivenWeights:
    """Integer weights of one layer: w = element * scale * gamma[k], in the canonical order of its axes.

    elements: int16 [K, R, S, C] or [K, C]. scales: [K, R, S, B] or [K, B], one for each `block_size`
    consecutive channels (the last block may be shorter); int32 in the two-level form, float32 if the model
    has one floating-point scale a block, and gamma is 1 then. gamma: float32 [K].
    """

    elements: Array
    scales: Array
    gamma: Array
    block_size: int

    @property
    def is_two_level(self) -> bool:
        """Whether the scales are integers under a coarse scale per channel."""
        return self.scales.dtype == np.int32

    def along_rows(self) -> GivenWeights:
        """Those of a depthwise convolution, [K, R, S, 1], as [K, R, S], with a scale for each row of kernels.

        As they are, if the taps of a row have scales of their own.
        """
        rows = self.scales[..., 0]
        if self.elements.ndim != 4 or self.elements.shape[-1] != 1 or (rows != rows[..., :1]).any():
            return self
        return GivenWeights(self.elements[..., 0], rows[..., :1], self.gamma, self.elements.shape[2])

    def of_image(self) -> GivenWeights:
        """Those of a convolution of sequences, [K, S, C], as it becomes one of images (`frontend.rows`)."""
        return replace(self, elements=self.elements[:, None], scales=self.scales[:, None])

    def restored(self) -> Array:
        """The weights they stand for, float64 of the shape of `elements`."""
        spread = self.scales.astype(np.float64).repeat(self.block_size, axis=-1)
        gamma = self.gamma.astype(np.float64).reshape(-1, *[1] * (self.elements.ndim - 1))
        return np.asarray(self.elements * spread[..., : self.elements.shape[-1]] * gamma)


@dataclass(frozen=True)
class GivenClip:
    """The bounds of a clip that stands for an activation's quantization in the model, and its step."""

    low: float
    high: float
    step: float


def with_given(
    module: IRModule,
    weights: dict[str, GivenWeights],
    limits: dict[str, float],
    clips: Collection[GivenClip] = (),
) -> IRModule:
    """`module` with the integer weights and the input ranges of its layers, by layer name, and with the
    bounds by which clips that stand for quantization are known."""
    bounds = [[clip.low, clip.high, clip.step] for clip in clips]
    return with_given_limits(with_given_weights(module, weights), limits).with_attr(_CLIPS, bounds)


def with_given_weights(module: IRModule, weights: dict[str, GivenWeights]) -> IRModule:
    """`module` with the integer weights of its layers, by layer name, in place of those it has."""
    packed = {
        name: [
            *(tvm.runtime.tensor(array) for array in (given.elements, given.scales, given.gamma)),
            given.block_size,
        ]
        for name, given in weights.items()
    }
    return module.with_attr(_WEIGHTS, packed)


def with_given_limits(module: IRModule, limits: dict[str, float]) -> IRModule:
    """`module` with the input ranges of its layers, by layer name, in place of those it has."""
    return module.with_attr(_LIMITS, limits)


def given_weights(module: IRModule) -> dict[str, GivenWeights]:
    """The integer weights that came with the model, by layer name; empty for fp32 models."""
    packed = (module.attrs or {}).get(_WEIGHTS, {})
    return {str(name): _unpack(*fields) for name, fields in packed.items()}


def _unpack(elements: Any, scales: Any, gamma: Any, block_size: Any) -> GivenWeights:
    q, s, coarse = (np.array(tensor.numpy()) for tensor in (elements, scales, gamma))
    return GivenWeights(q, s, coarse, int(block_size))


def given_limits(module: IRModule) -> dict[str, float]:
    """The largest magnitude of a layer's input that the model's own quantization covers, by layer name."""
    return {str(name): float(limit) for name, limit in (module.attrs or {}).get(_LIMITS, {}).items()}


def given_clips(module: IRModule) -> dict[tuple[float, float], GivenClip]:
    """The clips that stand for quantization, by their bounds."""
    found = (GivenClip(*map(float, fields)) for fields in (module.attrs or {}).get(_CLIPS, []))
    return {(clip.low, clip.high): clip for clip in found}


def without_given(module: IRModule) -> IRModule:
    """`module` without what `with_given` attached."""
    return module.without_attr(_WEIGHTS).without_attr(_LIMITS).without_attr(_CLIPS)
