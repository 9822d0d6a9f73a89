"""Folds batch norm and constant factors into the convolution or linear layer before them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.errors import ModelError
from tvm_vsq.graph import (
    Rebuilder,
    constant,
    constant_array,
    dtype_of,
    is_constant,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.tvm_compat import Call, IRModule, Var

Array = npt.NDArray[Any]


def fold_scales(module: IRModule) -> IRModule:
    """Merge `x * scale + shift` per channel into the weights and bias of the layer that computes x.

    The layer is a convolution or matrix product with constant weights, plus at most a constant bias, that
    nothing else reads. Scale and shift come from an inference batch norm, or from a product with a constant.
    A batch norm that follows no such layer becomes a multiplication and an addition.
    TVM's FoldBatchnormToConv2D knows neither the bias nor matrix products.
    """
    return replace_main(module, _FoldScales(module["main"]).run())


class _FoldScales(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) == "relax.multiply":
            return self._fold_product(value)
        is_first = isinstance(value, relax.TupleGetItem) and value.index == 0
        norm: Any = self.value_of(value.tuple_value) if is_first else None
        if op_name(norm) != "relax.nn.batch_norm":
            return value
        x, rank = norm.args[0], len(norm.args[0].ty.shape)
        axis = int(norm.attrs.axis) % rank
        scale, shift = _scale_and_shift(norm)
        folded = self._fold(x, axis, scale, shift)
        if folded is not None:
            return folded
        scaled = self.emit(relax.op.multiply(x, _channels(scale, axis, rank)))
        return relax.op.add(scaled, _channels(shift, axis, rank))

    def _fold_product(self, value: Call) -> Any:
        x, factor = value.args if is_constant(value.args[1]) else value.args[::-1]
        if not is_constant(factor) or is_constant(x) or dtype_of(factor) != "float32":
            return value
        axis = self._channel_axis(x)
        scale = None if axis is None else _along(constant_array(factor), axis, len(x.ty.shape))
        folded = None if scale is None else self._fold(x, axis, scale, np.zeros(1))
        return value if folded is None else folded

    def _fold(self, x: Any, axis: Any, scale: Array, shift: Array) -> Any:
        """The layer behind x with scale and shift in it; None if there is no layer that can take them."""
        if self._channel_axis(x) != axis:
            return None
        layer, bias = self._layer(x)
        rank = len(x.ty.shape)
        offset = _along(bias, axis, rank)
        if offset is None:
            return None
        kernel = constant_array(layer.args[1]).astype(np.float64)
        scaled_kernel = constant((kernel * _over_kernel(layer, scale)).astype(np.float32))
        product = self.emit(Call(layer.op, [layer.args[0], scaled_kernel], layer.attrs))
        total = offset * scale + shift
        return relax.op.add(product, _channels(total, axis, rank)) if total.any() else self.value_of(product)

    def _layer(self, x: Any) -> tuple[Any, Array]:
        """(layer, bias) if x is a layer plus at most a constant that nothing else reads, else (None, 0)."""
        layer, bias = self.value_of(x), np.zeros(())
        if op_name(layer) == "relax.add" and self.is_read_once(x):
            x, offset = layer.args if is_constant(layer.args[1]) else layer.args[::-1]
            if not is_constant(offset):
                return None, bias
            layer, bias = self.value_of(x), constant_array(offset).astype(np.float64)
        is_layer = op_name(layer) in (*_CONVOLUTIONS, "relax.matmul") and is_constant(layer.args[1])
        return (layer if is_layer and self.is_read_once(x) else None), bias

    def _channel_axis(self, x: Any) -> int | None:
        """The axis of the output channels of the layer behind x; None if there is no such layer."""
        layer, _ = self._layer(x)
        if layer is None:
            return None
        if op_name(layer) in _CONVOLUTIONS:
            return str(layer.attrs.out_layout).index("C")
        return len(x.ty.shape) - 1 if len(layer.args[1].ty.shape) == 2 else None


_CONVOLUTIONS = ("relax.nn.conv2d", "relax.nn.conv2d_transpose")


def _over_kernel(layer: Call, scale: Array) -> Array:
    """scale: [K], or [1] for all; what it is for each weight of the layer, in a shape that broadcasts."""
    name = op_name(layer)
    axis = str(layer.attrs.kernel_layout).index("O") if name in _CONVOLUTIONS else 1
    shape = static_shape(layer.args[1])
    lanes = [1] * len(shape)
    lanes[axis] = -1
    if name != "relax.nn.conv2d_transpose" or scale.size == 1:
        return scale.reshape(lanes)
    # here the axis holds the channels of one group, and that of inputs, groups one after the other
    inputs, groups = str(layer.attrs.kernel_layout).index("I"), int(layer.attrs.groups)
    parts = [part.reshape(lanes) for part in np.split(scale, groups)]
    return np.concatenate([part.repeat(shape[inputs] // groups, inputs) for part in parts], inputs)


def _along(array: Array, axis: int, rank: int) -> Array | None:
    """A constant that varies along `axis` only, as float64[K] or [1]; None if it varies elsewhere."""
    if array.ndim > rank:
        return None
    aligned = array.reshape((1,) * (rank - array.ndim) + array.shape)
    return array.astype(np.float64).reshape(-1) if aligned.size == aligned.shape[axis] else None


def _scale_and_shift(norm: Call) -> tuple[Array, Array]:
    """(scale[K], shift[K]) in float64: gamma / sqrt(var + eps) and beta - mean * scale."""
    if not all(is_constant(arg) for arg in norm.args[1:5]) or bool(norm.attrs.training):
        raise ModelError("a batch norm computes its statistics at run time; export the model in eval mode")
    if dtype_of(norm.args[1]) != "float32":
        raise ModelError(f"a batch norm has {dtype_of(norm.args[1])} weights; weights must be float32")
    gamma, beta, mean, variance = (constant_array(arg).astype(np.float64) for arg in norm.args[1:5])
    if (variance < 0).any():
        raise ModelError("a batch norm has a negative running variance; load sound weights")
    scale = (gamma if bool(norm.attrs.scale) else np.ones_like(gamma)) / np.sqrt(
        variance + float(norm.attrs.epsilon)
    )
    return scale, (beta if bool(norm.attrs.center) else np.zeros_like(beta)) - mean * scale


def _channels(values: Array, axis: int, rank: int) -> Any:
    """float32[K] as a constant that broadcasts along `axis` of a tensor with `rank` axes."""
    shape = [1] * rank
    shape[axis] = -1
    return constant(values.astype(np.float32).reshape(shape))
