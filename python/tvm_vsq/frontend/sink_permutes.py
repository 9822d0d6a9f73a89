"""Moves permute_dims towards the outputs, so that NHWC layers meet without a layout change between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.frontend.elementwise import BINARY, UNARY
from tvm_vsq.graph import (
    Rebuilder,
    constant,
    constant_array,
    is_constant,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.tvm_compat import Call, IRModule, Var

_POOLS = {"relax.nn.max_pool2d": relax.op.nn.max_pool2d, "relax.nn.avg_pool2d": relax.op.nn.avg_pool2d}
_REDUCTIONS = {"relax.mean": relax.op.mean, "relax.max": relax.op.max, "relax.sum": relax.op.sum}
_TO_NCHW = [0, 3, 1, 2]


def sink_permutes(module: IRModule) -> IRModule:
    """`op(permute_dims(x))` becomes `permute_dims(op(x))`; permutes that cancel vanish.

    TVM's ConvertLayout stops at some operators (clip, that is ReLU6, among them) and leaves a pair of
    permutes around them. Covers elementwise operators, pools, reductions that keep their axes, and
    reshapes for which the permute only moves axes of extent 1.
    """
    return replace_main(module, _SinkPermutes(module["main"]).run())


class _SinkPermutes(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        if name == "relax.permute_dims":
            return self._merge(value)
        if name in BINARY:
            return self._past_binary(value)
        x, axes = (
            self._before_permute(value.args[0]) if isinstance(value, Call) and value.args else (None, [])
        )
        if x is None:
            return value
        if name in UNARY:
            return self._permuted(Call(value.op, [x, *value.args[1:]], value.attrs), axes)
        if name in _POOLS and axes == _TO_NCHW and str(value.attrs.layout) == "NCHW":
            return self._permuted(_pool_nhwc(_POOLS[name], x, value.attrs), axes)
        if name in _REDUCTIONS and bool(value.attrs.keepdims) and value.attrs.axis is not None:
            inner = [axes[int(axis)] for axis in value.attrs.axis]
            return self._permuted(_REDUCTIONS[name](x, inner, keepdims=True), axes)
        if name == "relax.reshape" and _moves_only_units(x, axes):
            return relax.op.reshape(x, value.args[1])
        return value

    def _permuted(self, call: Call, axes: Sequence[int]) -> Call:
        return relax.op.permute_dims(self.emit(call), list(axes))

    def _before_permute(self, arg: Any) -> tuple[Any, list[int]]:
        """(x, axes) if `arg` is permute_dims(x, axes), else (None, [])."""
        call = self.value_of(arg)
        return (call.args[0], _axes(call)) if op_name(call) == "relax.permute_dims" else (None, [])

    def _past_binary(self, value: Call) -> Any:
        (left, axes), (right, right_axes) = (self._before_permute(arg) for arg in value.args)
        if left is not None and right is not None:
            same = axes == right_axes
            return self._permuted(Call(value.op, [left, right], value.attrs), axes) if same else value
        axes = axes or right_axes
        pairs = zip((left, right), value.args, strict=True)
        moved = [_constant_before(arg, axes) if source is None else source for source, arg in pairs]
        if not axes or any(operand is None for operand in moved):
            return value
        return self._permuted(Call(value.op, moved, value.attrs), axes)

    def _merge(self, value: Call) -> Any:
        x, outer = value.args[0], _axes(value)
        source, inner = self._before_permute(x)
        if source is not None:
            x, outer = source, [inner[axis] for axis in outer]
        return x if outer == sorted(outer) else relax.op.permute_dims(x, outer)


def _axes(call: Call) -> list[int]:
    rank = len(call.args[0].ty.shape)
    given = call.attrs.axes
    return list(range(rank))[::-1] if given is None else [int(axis) % rank for axis in given]


def _constant_before(arg: Any, axes: Sequence[int]) -> Any:
    """The constant that, permuted by `axes`, is `arg`; a scalar stays; None if `arg` is no such constant."""
    if not is_constant(arg) or len(arg.ty.shape) > len(axes):
        return None
    array = constant_array(arg)
    if array.ndim == 0:
        return arg
    aligned = array.reshape((1,) * (len(axes) - array.ndim) + array.shape)
    return constant(aligned.transpose(np.argsort(axes)))


def _moves_only_units(x: Any, axes: Sequence[int]) -> bool:
    kept = [axis for axis in axes if static_shape(x)[axis] != 1]
    return kept == sorted(kept)


def _pool_nhwc(pool: Any, x: Any, attrs: Any) -> Call:
    return pool(
        x,
        pool_size=list(attrs.pool_size),
        strides=list(attrs.strides),
        padding=list(attrs.padding),
        dilation=list(attrs.dilation),
        ceil_mode=bool(attrs.ceil_mode),
        count_include_pad=bool(attrs.count_include_pad),
        layout="NHWC",
        out_layout="NHWC",
    )
