"""Brings averages over images into one form: avg_pool2d with the channels last, and no pool of one pixel."""

from __future__ import annotations

from math import prod
from typing import Any

from tvm import relax

from tvm_vsq.graph import Rebuilder, op_name, replace_main, static_shape
from tvm_vsq.tvm_compat import Call, IRModule, Var

_POOLS = ("relax.nn.avg_pool2d", "relax.nn.max_pool2d")


def unify_pools(module: IRModule) -> IRModule:
    """Means over rows and columns, and adaptive pools whose windows are all alike, become avg_pool2d.

    A reshape follows where a mean drops its axes. Pools whose windows are one pixel each vanish.
    """
    return replace_main(module, _UnifyPools(module["main"]).run())


def identity_pool(x: Var) -> Call:
    """A maximum pool of one pixel, channels last: what the canonical form is without."""
    return relax.op.nn.max_pool2d(x, (1, 1), layout="NHWC")


class _UnifyPools(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        if name == "relax.mean" and _is_over_image(value):
            pooled = self._pooled(value.args[0], static_shape(value.args[0])[1:3])
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
        return value.args[0] if name in _POOLS and _is_identity(value) else value

    def _pooled(self, x: Any, window: Any) -> Any:
        """Windows that lie side by side; `x` itself if they are pixels."""
        if prod(window) == 1:
            return x
        size = [int(extent) for extent in window]
        return relax.op.nn.avg_pool2d(x, pool_size=size, strides=size, layout="NHWC", out_layout="NHWC")


def _is_over_image(call: Call) -> bool:
    axes = call.attrs.axis
    return (
        axes is not None
        and isinstance(call.args[0], Var)
        and len(static_shape(call.args[0])) == 4
        and sorted(int(axis) % 4 for axis in axes) == [1, 2]
    )


def _has_channels_last(call: Call) -> bool:
    return str(call.attrs.layout) == "NHWC" and str(call.attrs.out_layout or "NHWC") == "NHWC"


def _is_identity(call: Call) -> bool:
    attrs = call.attrs
    is_pixel = all(int(extent) == 1 for extent in (*attrs.pool_size, *attrs.strides))
    same_layout = str(attrs.out_layout or attrs.layout) == str(attrs.layout)
    return is_pixel and same_layout and not any(int(border) for border in attrs.padding)
