"""Folds inference batch norm into the convolution or linear layer before it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.errors import ModelError
from tvm_vsq.graph import Rebuilder, constant, constant_array, dtype_of, is_constant, op_name, replace_main
from tvm_vsq.tvm_compat import Call, IRModule, Var

Array = npt.NDArray[Any]


def fold_batchnorm(module: IRModule) -> IRModule:
    """Rewrite each batch norm as `x * scale + shift`, and merge that into the layer that computes x.

    The merge happens when x is a convolution or matrix product with constant weights, plus at most a constant
    bias, that nothing else reads; TVM's FoldBatchnormToConv2D knows neither the bias nor matrix products.
    """
    return replace_main(module, _FoldBatchnorm(module["main"]).run())


class _FoldBatchnorm(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        is_first = isinstance(value, relax.TupleGetItem) and value.index == 0
        norm: Any = self.value_of(value.tuple_value) if is_first else None
        if op_name(norm) != "relax.nn.batch_norm":
            return value
        x, axis = norm.args[0], int(norm.attrs.axis) % len(norm.args[0].ty.shape)
        rank = len(x.ty.shape)
        scale, shift = _scale_and_shift(norm)
        layer, bias = self._layer_before(x, axis)
        if layer is None:
            scaled = self.emit(relax.op.multiply(x, _channels(scale, axis, rank)))
            return relax.op.add(scaled, _channels(shift, axis, rank))
        kernel = constant_array(layer.args[1]).astype(np.float64)
        lanes = [1] * kernel.ndim
        lanes[_output_axis(layer)] = -1
        scaled_kernel = constant((kernel * scale.reshape(lanes)).astype(np.float32))
        product = self.emit(Call(layer.op, [layer.args[0], scaled_kernel], layer.attrs))
        return relax.op.add(product, _channels(bias * scale + shift, axis, rank))

    def _layer_before(self, x: Any, axis: int) -> tuple[Any, Array]:
        """(layer, bias[K]) if x is a layer that can take the batch norm of `axis`, else (None, ...)."""
        nothing = (None, np.zeros(1))
        layer, bias = self.value_of(x), np.zeros(1)
        if not self.is_read_once(x):
            return nothing
        if op_name(layer) == "relax.add":
            source, offset = layer.args if is_constant(layer.args[1]) else layer.args[::-1]
            if not is_constant(offset) or not self.is_read_once(source):
                return nothing
            bias = constant_array(offset).astype(np.float64)
            if bias.size not in (1, int(x.ty.shape[axis])) or (
                bias.size > 1 and bias.shape[axis - x.ty.ndim] == 1
            ):
                return nothing
            layer, bias = self.value_of(source), bias.reshape(-1)
        if op_name(layer) not in ("relax.nn.conv2d", "relax.matmul") or not is_constant(layer.args[1]):
            return nothing
        if op_name(layer) == "relax.nn.conv2d":
            return (layer, bias) if str(layer.attrs.data_layout).index("C") == axis else nothing
        return (layer, bias) if len(layer.args[1].ty.shape) == 2 and axis == x.ty.ndim - 1 else nothing


def _output_axis(layer: Call) -> int:
    return str(layer.attrs.kernel_layout).index("O") if op_name(layer) == "relax.nn.conv2d" else 1


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
