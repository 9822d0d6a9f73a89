"""Integer weights that came with the model, as vectors of a format; no element is rounded again."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import VsqWarning
from tvm_vsq.formats import VectorFormat
from tvm_vsq.frontend.given import GivenWeights
from tvm_vsq.numerics.layout import join, split_channels

Array = npt.NDArray[Any]
Vectors = tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]

_TOLERANCE = 1e-5
"""Relative: float32 products in another order, and a batch norm that was folded in float64."""


class _Unfit(Exception):
    """Why the integers cannot be taken."""


def take_given(given: GivenWeights, rows: Array, fmt: VectorFormat, layer: str) -> Vectors | None:
    """The integers of `given` as int16[K, ..., CV, V+1] and gamma float32[K]; None if they do not fit.

    rows: the layer's weights now, float32 [K, R, S, C] or [K, C]. A factor for each output channel between
    them and what the integers stand for (a folded batch norm) goes into gamma. Elements stay as they are;
    two-level scales too, floating-point scales are rounded to `fmt` under gamma[k] = max scale / smax.
    Warns (VsqWarning) with the layer's name if scales were rounded, and of why integers were not taken.
    """
    try:
        factor = _channel_factor(given, rows)
        if np.abs(given.elements).max() > fmt.qmax:
            raise _Unfit(
                f"element {int(given.elements.flat[np.abs(given.elements).argmax()])} is outside "
                f"-{fmt.qmax}..{fmt.qmax}, what {fmt.bits} symmetric bits hold"
            )
        scales, gamma = (given.scales, given.gamma) if given.is_two_level else _rounded(given.scales, fmt)
        if scales.max() > fmt.smax:
            scales, gamma = _reduced(scales, gamma, fmt)
        vectors = join(split_channels(given.elements, fmt), _per_vector(given, scales, fmt))
    except _Unfit as reason:
        _warn(f"layer '{layer}': the model's integer weights are not used: {reason}; quantized anew")
        return None
    if not given.is_two_level:
        noise = _restored(scales, gamma, given) - given.restored()
        loss = np.square(given.restored()).sum() / max(float(np.square(noise).sum()), 1e-300)
        _warn(
            f"layer '{layer}': floating-point block scales became integers up to {fmt.smax}, weights with an "
            f"SQNR of {10 * np.log10(loss):.1f} dB; elements are the model's own"
        )
    return _scaled(vectors, gamma, factor)


def _channel_factor(given: GivenWeights, rows: Array) -> Array:
    """float64 [K]: what the weights were multiplied by on their way here, 1 where they are the same."""
    restored = given.restored().reshape(len(rows), -1)
    now = rows.astype(np.float64).reshape(len(rows), -1)
    if restored.shape != now.shape or rows.shape != given.elements.shape:
        raise _Unfit(f"they are {list(given.elements.shape)}, the layer's weights {list(rows.shape)}")
    peak = np.abs(restored).argmax(axis=1)[:, None]
    largest = np.take_along_axis(restored, peak, 1)[:, 0]
    factor = np.take_along_axis(now, peak, 1)[:, 0] / np.where(largest == 0, 1, largest)
    factor = np.where((largest == 0) | (np.abs(factor - 1) < _TOLERANCE), 1.0, factor)
    allowed = _TOLERANCE * np.abs(now).max(axis=1, keepdims=True)
    if (np.abs(restored * factor[:, None] - now) > allowed).any():
        raise _Unfit("the weights were changed after they were quantized, by more than a factor a channel")
    return np.asarray(factor)


def _rounded(scales: Array, fmt: VectorFormat) -> tuple[Array, Array]:
    """Integer scales and gamma [K] for floating-point scales [K, ..., B]."""
    per_channel = scales.astype(np.float64).reshape(len(scales), -1)
    if (per_channel < 0).any():
        raise _Unfit("a scale is negative")
    if fmt.scale_bits is None:
        raise _Unfit("a channel has several scales, the format has no vector scales")
    gamma = (per_channel.max(axis=1) / fmt.smax).astype(np.float32)
    gamma[gamma == 0] = 1.0
    steps = np.clip(np.rint(per_channel / gamma.astype(np.float64)[:, None]), 1, fmt.smax)
    return steps.astype(np.int32).reshape(scales.shape), gamma


def _reduced(scales: Array, gamma: Array, fmt: VectorFormat) -> tuple[Array, Array]:
    """Scales divided by what all of a channel have in common."""
    common = np.gcd.reduce(scales.reshape(len(scales), -1), axis=1)
    common = np.where(common == 0, 1, common)
    smaller = scales // common.reshape(-1, *[1] * (scales.ndim - 1))
    if smaller.max() > fmt.smax:
        width = f"{fmt.scale_bits} bits hold" if fmt.scale_bits else "a format without vector scales has"
        raise _Unfit(f"scale {int(scales.max())} is above {fmt.smax}, what {width}")
    return smaller, (gamma.astype(np.float64) * common).astype(np.float32)


def _per_vector(given: GivenWeights, scales: Array, fmt: VectorFormat) -> Array:
    """[K, ..., CV] from one scale a block."""
    vectors = fmt.vectors(given.elements.shape[-1])
    if fmt.scale_bits is None and (scales != 1).any():
        raise _Unfit("a scale is 0, the format has no vector scales")
    if scales.shape[-1] == 1 or fmt.scale_bits is None:
        return np.repeat(scales[..., :1], vectors, axis=-1)
    if given.block_size % fmt.vector_size:
        raise _Unfit(f"blocks of {given.block_size} channels do not divide into vectors of {fmt.vector_size}")
    return scales.repeat(given.block_size // fmt.vector_size, axis=-1)[..., :vectors]


def _restored(scales: Array, gamma: Array, given: GivenWeights) -> Array:
    return GivenWeights(given.elements, scales, gamma, given.block_size).restored()


def _scaled(vectors: npt.NDArray[np.int16], gamma: Array, factor: Array) -> Vectors:
    """A sign goes into the elements, a factor of 0 makes them 0; gamma stays positive."""
    total = np.where(factor == 1, gamma, (gamma.astype(np.float64) * factor).astype(np.float32))
    signs = np.sign(total).astype(np.int16).reshape(-1, *[1] * (vectors.ndim - 1))
    signed = vectors.copy()
    signed[..., :-1] *= signs
    return signed, np.where(total == 0, np.float32(1), np.abs(total)).astype(np.float32)


def _warn(message: str) -> None:
    warnings.warn(message, VsqWarning, stacklevel=3)
