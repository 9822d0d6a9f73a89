"""Brings averages and maxima over images into one form: pools with the channels last, none of one pixel."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.frontend.adaptive import adaptive_windows, runs_of
from tvm_vsq.graph import Rebuilder, constant, op_name, replace_main, static_shape
from tvm_vsq.tvm_compat import Call, IRModule, Var

_REDUCTIONS = {"relax.mean": relax.op.nn.avg_pool2d, "relax.max": relax.op.nn.max_pool2d}
_POOLS = ("relax.nn.avg_pool2d", "relax.nn.max_pool2d")


def unify_pools(module: IRModule) -> IRModule:
    """Means and maxima over rows, columns or both, and adaptive pools become avg_pool2d and max_pool2d.

    A reshape follows where axes are dropped. An adaptive pool with windows of several sizes is over rows,
    then over columns, with a pool for each size: what it takes the mean of are means of as many each. Pools
    whose windows are one pixel each vanish, or repeat pixels.
    """
    return replace_main(module, _UnifyPools(module["main"]).run())


def identity_pool(x: Var) -> Call:
    """A maximum pool of one pixel, channels last: what the canonical form is without."""
    return relax.op.nn.max_pool2d(x, (1, 1), layout="NHWC")


class _UnifyPools(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        if name in _REDUCTIONS and _is_over_image(value):
            given = static_shape(value.args[0])
            over = {int(axis) % 4 for axis in value.attrs.axis}
            window = [given[axis] if axis in over else 1 for axis in (1, 2)]
            pooled = self._pooled(value.args[0], window, _REDUCTIONS[name])
            if bool(value.attrs.keepdims):
                return pooled
            return relax.op.reshape(
                self.emit(pooled) if isinstance(pooled, Call) else pooled, static_shape(var)
            )
        if name == "relax.nn.adaptive_avg_pool2d" and _has_channels_last(value):
            given, taken = (static_shape(tensor)[1:3] for tensor in (value.args[0], var))
            if all(extent % results == 0 for extent, results in zip(given, taken, strict=True)):
                window = [extent // results for extent, results in zip(given, taken, strict=True)]
                return self._pooled(value.args[0], window)
            return self._adaptive(value.args[0], taken)
        return value.args[0] if name in _POOLS and _is_identity(value) else value

    def _pooled(self, x: Any, window: Any, build: Any = relax.op.nn.avg_pool2d) -> Any:
        """Windows that lie side by side; `x` itself if they are pixels."""
        if prod(window) == 1:
            return x
        size = [int(extent) for extent in window]
        return build(x, pool_size=size, strides=size, layout="NHWC", out_layout="NHWC")

    def _adaptive(self, x: Any, taken: Sequence[int]) -> Any:
        for axis, results in zip((1, 2), taken, strict=True):
            extent = static_shape(x)[axis]
            if results == extent:
                continue
            parts, windows = [], adaptive_windows(extent, results)
            if all(end - first == 1 for first, end in windows):
                chosen = constant(np.array([first for first, _ in windows], np.int64))
                x = self.emit(relax.op.take(x, chosen, axis=axis, mode="clip"))
                continue
            for first, size, stride, count in runs_of(windows):
                end = first + (count - 1) * stride + size
                is_whole = (first, end) == (0, extent)
                part = x if is_whole else self.emit(relax.op.strided_slice(x, [axis], [first], [end]))
                window, steps = ([size, 1], [stride, 1]) if axis == 1 else ([1, size], [1, stride])
                pool = relax.op.nn.avg_pool2d(
                    part, pool_size=window, strides=steps, layout="NHWC", out_layout="NHWC"
                )
                parts.append(part if size == stride == 1 else self.emit(pool))
            x = parts[0] if len(parts) == 1 else self.emit(relax.op.concat(parts, axis=axis))
        return x


def _is_over_image(call: Call) -> bool:
    axes = call.attrs.axis
    return (
        axes is not None
        and isinstance(call.args[0], Var)
        and len(static_shape(call.args[0])) == 4
        and len(axes) > 0
        and all(int(axis) % 4 in (1, 2) for axis in axes)
    )


def _has_channels_last(call: Call) -> bool:
    return str(call.attrs.layout) == "NHWC" and str(call.attrs.out_layout or "NHWC") == "NHWC"


def _is_identity(call: Call) -> bool:
    attrs = call.attrs
    is_pixel = all(int(extent) == 1 for extent in (*attrs.pool_size, *attrs.strides))
    same_layout = str(attrs.out_layout or attrs.layout) == str(attrs.layout)
    return is_pixel and same_layout and not any(int(border) for border in attrs.padding)
