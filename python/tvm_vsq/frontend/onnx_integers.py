"""QuantizeLinear and DequantizeLinear of constants: per tensor, per channel, and blocked."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from tvm_vsq.errors import ModelError, VsqWarning
from tvm_vsq.frontend.given import GivenWeights
from tvm_vsq.frontend.onnx_nodes import attributes, describe

Array = npt.NDArray[Any]

INTEGERS = {
    TensorProto.INT2,
    TensorProto.UINT2,
    TensorProto.INT4,
    TensorProto.UINT4,
    TensorProto.INT8,
    TensorProto.UINT8,
    TensorProto.INT16,
    TensorProto.UINT16,
    TensorProto.INT32,
}


@dataclass(frozen=True)
class Integers:
    """A constant that came out of DequantizeLinear: value = elements * scale.

    elements: int64, the zero point already subtracted. scale: of the same rank; along each axis it has the
    tensor's extent, 1, or, along `axis`, one value for each `block_size` elements. If the scale itself is
    dequantized from integers, `steps` are those, and `gamma` is their own scale, of the same rank.
    """

    elements: Array
    scale: Array
    axis: int | None = None
    block_size: int = 1
    steps: Array | None = None
    gamma: Array | None = None

    def value(self) -> Array:
        """The tensor, in the scale's dtype."""
        return np.asarray(self.elements.astype(self.scale.dtype) * self._spread(self.scale))

    def transposed(self, perm: list[int]) -> Integers:
        """The same constant after a Transpose."""
        steps, gamma = (None if a is None else a.transpose(perm) for a in (self.steps, self.gamma))
        axis = None if self.axis is None else perm.index(self.axis)
        elements, scale = self.elements.transpose(perm), self.scale.transpose(perm)
        return Integers(elements, scale, axis, self.block_size, steps, gamma)

    def with_unit_axis(self) -> Integers:
        """The same constant after a Reshape to one more axis, the last: with a scale for each element."""
        scale, steps = (None if a is None else self._spread(a)[..., None] for a in (self.scale, self.steps))
        gamma = None if self.gamma is None else self.gamma[..., None]
        return Integers(self.elements[..., None], np.asarray(scale), None, 1, steps, gamma)

    def given(self) -> GivenWeights | None:
        """As the integer weights of a layer, if the axes are [K, ..., C] by now.

        None if a block runs along another axis than the last, or the elements are wider than 16 bits.
        """
        last, channels = self.elements.ndim - 1, self.elements.shape[-1]
        is_blocked = self.axis is not None and self.block_size > 1
        if (is_blocked and self.axis != last) or np.abs(self.elements).max(initial=0) >= 1 << 15:
            return None
        size = self.block_size if is_blocked else 1 if self.scale.shape[-1] == channels else channels
        rows = (*self.elements.shape[:-1], -(-channels // size))
        elements = self.elements.astype(np.int16)
        scale = np.broadcast_to(self.scale, rows).astype(np.float32)
        per_row = (len(elements), -1)
        if self.steps is not None and self.gamma is not None and self.gamma[:1].size == 1:
            gamma = np.broadcast_to(self.gamma, (len(elements), *[1] * last)).reshape(-1)
            steps = np.broadcast_to(self.steps, rows).astype(np.int32)
            return GivenWeights(elements, np.ascontiguousarray(steps), gamma.astype(np.float32), size)
        if (scale.reshape(per_row) == scale.reshape(per_row)[:, :1]).all():  # one scale a channel
            gamma = np.ascontiguousarray(scale.reshape(per_row)[:, 0])
            return GivenWeights(elements, np.ones(rows, np.int32), gamma, size)
        return GivenWeights(elements, np.ascontiguousarray(scale), np.ones(len(elements), np.float32), size)

    def _spread(self, array: Array) -> Array:
        return spread(array, self.elements.shape, self.axis, self.block_size)


def spread(array: Array, shape: tuple[int, ...], axis: int | None, block_size: int) -> Array:
    """A scale or zero point in the rank of the tensor, repeated to the tensor's shape."""
    if axis is not None and block_size > 1:
        array = array.repeat(block_size, axis=axis).take(range(shape[axis]), axis=axis)
    return np.asarray(np.broadcast_to(array, shape))


def dequantize(
    node: onnx.NodeProto, x: Array, scale: Array, zero: Array | None, levels: Integers | None
) -> Integers:
    """DequantizeLinear of a constant. levels: what the scale was made of, if it was dequantized itself.

    Raises ModelError naming the node if the scale's shape does not fit.
    """
    wide = x.astype(np.int64)
    axis, block_size = _granularity(node, wide.shape, scale.shape)
    if zero is not None:
        aligned = _aligned(node, zero.astype(np.int64), wide.shape, axis, block_size)
        wide = wide - spread(aligned, wide.shape, axis, block_size)
    whole = _aligned(node, scale, wide.shape, axis, block_size)
    if levels is None or levels.elements.shape != whole.shape or levels.block_size > 1:
        return Integers(wide, whole, axis, block_size)
    if (levels.elements < 0).any():
        return Integers(wide, whole, axis, block_size)
    return Integers(wide, whole, axis, block_size, levels.elements, levels.scale)


def along(node: onnx.NodeProto, array: Array, shape: tuple[int, ...]) -> Array:
    """What belongs to the scales of a quantized tensor of `shape`, in a form that broadcasts with it."""
    axis, block_size = _granularity(node, shape, array.shape)
    aligned = _aligned(node, array, shape, axis, block_size)
    return aligned if block_size == 1 else spread(aligned, shape, axis, block_size)


def quantize(node: onnx.NodeProto, x: Array, scale: Array, zero: Array | None) -> Array:
    """QuantizeLinear of a constant: saturated, rounded half to even."""
    kind = attributes(node).get("output_dtype", 0)
    dtype = helper.tensor_dtype_to_np_dtype(kind) if kind else np.dtype(np.uint8)
    dtype = zero.dtype if zero is not None else dtype
    if helper.np_dtype_to_tensor_dtype(dtype) not in INTEGERS:
        raise ModelError(f"{describe(node)} quantizes to {dtype}; only integers have a form here")
    axis, block_size = _granularity(node, x.shape, scale.shape)
    whole = spread(_aligned(node, scale, x.shape, axis, block_size), x.shape, axis, block_size)
    offset = np.zeros_like(x) if zero is None else zero.astype(np.float32)
    if zero is not None:
        aligned = _aligned(node, offset, x.shape, axis, block_size)
        offset = spread(aligned, x.shape, axis, block_size)
    low, high = bounds(dtype)
    return np.asarray(np.clip(np.rint(x / whole) + offset, low, high).astype(dtype))


def bounds(dtype: np.dtype[Any]) -> tuple[int, int]:
    """Smallest and largest value of an integer type, int4 and the like included."""
    limits: Any = ml_dtypes.iinfo(dtype)  # type: ignore[no-untyped-call]
    return int(limits.min), int(limits.max)


def _granularity(node: onnx.NodeProto, x: tuple[int, ...], scale: tuple[int, ...]) -> tuple[int | None, int]:
    """(axis, block size); axis None: one scale for the tensor, block size 1: one for each index of axis."""
    found = attributes(node)
    axis, block_size = int(found.get("axis", 1)), int(found.get("block_size", 0))
    if int(np.prod(scale)) == 1 and not block_size:
        return None, 1
    if not -len(x) <= axis < len(x):
        raise ModelError(f"{describe(node)} has axis={axis}, its tensor has shape {list(x)}; correct it")
    axis %= len(x)
    fitting = [i for i in range(len(x)) if block_size and scale == _blocks(x, i, block_size)]
    if axis not in fitting and len(fitting) == 1:
        warnings.warn(
            f"{describe(node)} has axis={axis}, but scales {list(scale)} are blocks along axis {fitting[0]} "
            f"of {list(x)}; taken so",
            VsqWarning,
            stacklevel=2,
        )
        axis = fitting[0]
    return axis, max(block_size, 1)


def _blocks(shape: tuple[int, ...], axis: int, block_size: int) -> tuple[int, ...]:
    return tuple(-(-extent // block_size) if i == axis else extent for i, extent in enumerate(shape))


def _aligned(
    node: onnx.NodeProto, array: Array, shape: tuple[int, ...], axis: int | None, block_size: int
) -> Array:
    """A scale or zero point with as many axes as the tensor."""
    if axis is None:
        fits, target = array.size == 1, [1] * len(shape)
    elif array.ndim == len(shape) and (array.ndim > 1 or block_size > 1):
        target = list(_blocks(shape, axis, block_size))
        fits = list(array.shape) == target
    else:
        fits, target = array.shape == (shape[axis],), [1] * len(shape)
        target[axis] = shape[axis]
    if not fits:
        raise ModelError(
            f"{describe(node)}: a scale of shape {list(array.shape)} does not fit a tensor {list(shape)} "
            f"with axis={axis}, block_size={block_size}; export the model again"
        )
    return array.reshape(target)
