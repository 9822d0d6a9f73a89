"""Moves permute_dims towards the outputs, so that NHWC layers meet without a layout change between them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.frontend.nhwc import TO_NCHW, TO_NHWC, in_nhwc
from tvm_vsq.frontend.permutes import PermutingRebuilder
from tvm_vsq.graph import (
    constant,
    constant_array,
    is_constant,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.network import facts_of
from tvm_vsq.network.source import is_on_each_row
from tvm_vsq.tvm_compat import Call, IRModule, Tuple, Var

_CHOICES = {
    f"relax.{name}"
    for name in ("equal", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_or")
} | {"relax.logical_not", "relax.not_equal", "relax.where"}
"""Elementwise, too, though of truth values or of three tensors."""

_REDUCTIONS = {"relax.mean": relax.op.mean, "relax.max": relax.op.max, "relax.sum": relax.op.sum}


def sink_permutes(module: IRModule) -> IRModule:
    """`op(permute_dims(x))` becomes `permute_dims(op(x))`; permutes that cancel vanish.

    Covers elementwise operators, concatenation, slices of all but inputs, takes, pads, pools and resizes,
    linear layers, norms and softmaxes whose channels stay last, reductions that keep their axes, and reshapes
    that drop and add axes of extent 1, or for which the permute only moves such, that split channels which
    stay last, or that join axes which are neighbours on either side of the permute.
    """
    return replace_main(module, _SinkPermutes(module["main"]).run())


class _SinkPermutes(PermutingRebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        if name == "relax.permute_dims":
            return self._merge(value)
        if facts_of(value).elementwise == 2 or name in _CHOICES:
            return self._past_elementwise(value, static_shape(var))
        if name == "relax.concat":
            return self._past_concat(value)
        if not name or not value.args:
            return value
        x, axes = self._before_permute(value.args[0])
        return value if x is None else self._past(value, x, axes)

    def _past(self, value: Call, x: Any, axes: list[int]) -> Any:
        """`value`, whose first operand is permute_dims(x, axes), with the permute after it if possible."""
        name = op_name(value)
        if facts_of(value).elementwise == 1:
            return self._after(Call(value.op, [x, *value.args[1:]], value.attrs), axes)
        moved = in_nhwc(value, x) if axes == TO_NCHW else None
        if moved is not None:
            return self._after(moved, axes)
        if name in _REDUCTIONS and value.attrs.axis is not None:
            return self._past_reduction(value, x, axes)
        if name == "relax.strided_slice":
            # layers read parts of an input as those of one tensor
            is_input = axes == TO_NHWC and self._is_input(x)
            return value if is_input else self._past_slice(value, x, axes)
        if name == "relax.reshape":
            return self._past_reshape(value, x, axes)
        if name == "relax.take" and value.attrs.axis is not None and len(value.args[1].ty.shape) == 1:
            inner = axes[int(value.attrs.axis)]
            mode = str(value.attrs.mode)
            return self._after(relax.op.take(x, value.args[1], axis=inner, mode=mode), axes)
        if name == "relax.nn.pad":
            return self._past_pad(value, x, axes)
        if is_on_each_row(value) and axes[-1] == len(axes) - 1:
            return self._after(Call(value.op, [x, *value.args[1:]], value.attrs), axes)
        is_linear = name == "relax.matmul" and is_constant(value.args[1]) and len(value.args[1].ty.shape) == 2
        if is_linear and axes[-1] == len(axes) - 1:
            return self._after(Call(value.op, [x, value.args[1]], value.attrs), axes)
        return value

    def _past_pad(self, value: Call, x: Any, axes: list[int]) -> Any:
        widths = [0] * (2 * len(axes))
        for outer, inner in enumerate(axes):
            widths[2 * inner : 2 * inner + 2] = [
                int(n) for n in value.attrs.pad_width[2 * outer : 2 * outer + 2]
            ]
        mode, number = str(value.attrs.pad_mode), float(value.attrs.pad_value)
        return self._after(relax.op.nn.pad(x, widths, mode, number), axes)

    def _past_reshape(self, value: Call, x: Any, axes: list[int]) -> Any:
        """Where the permute only moves axes of extent 1, or the reshape only drops and adds such, splits the
        last axis, which the permute leaves there, or joins axes that are neighbours without the permute, too.
        """
        target = [int(extent) for extent in value.args[1]]
        kept = [static_shape(x)[axis] for axis in axes[:-1]]
        if axes[-1] == len(axes) - 1 and len(target) > len(axes) and target[: len(kept)] == kept:
            # it only splits the last axis, which stays where it is
            split = target[len(kept) :]
            moved = self.emit(relax.op.reshape(x, [*static_shape(x)[:-1], *split]))
            return self.permute(moved, [*axes[:-1], *range(len(kept), len(target))])
        if _moves_only_units(x, axes):
            return relax.op.reshape(x, value.args[1])
        runs = _joined(static_shape(x), axes, target)
        if runs is not None:
            in_order = sorted(runs)
            joined = [math.prod(static_shape(x)[axis] for axis in run) for run in in_order]
            moved = self.emit(relax.op.reshape(x, joined))
            return self.permute(moved, [in_order.index(run) for run in runs])
        given = [axis for axis in axes if static_shape(x)[axis] != 1]
        if [static_shape(x)[axis] for axis in given] != [extent for extent in target if extent != 1]:
            return value
        # where each axis of the result comes from; one of extent 1 follows the one in front of it
        places, at = [], -1
        for extent in target:
            at += extent != 1
            places.append(given[at] if at >= 0 else -1)
        order = sorted(range(len(target)), key=lambda axis: places[axis])
        moved = self.emit(relax.op.reshape(x, [target[axis] for axis in order]))
        return self.permute(moved, [order.index(axis) for axis in range(len(target))])

    def _is_input(self, x: Any) -> bool:
        call = self.value_of(x)
        return call is x or (op_name(call) == "relax.reshape" and self._is_input(call.args[0]))

    def _after(self, call: Call, axes: Sequence[int]) -> Any:
        return self.permute(self.emit(call), axes)

    def _before_permute(self, arg: Any) -> tuple[Any, list[int]]:
        """(x, axes) if `arg` is permute_dims(x, axes), else (None, [])."""
        call = self.value_of(arg)
        return (call.args[0], _axes(call)) if op_name(call) == "relax.permute_dims" else (None, [])

    def _past_reduction(self, value: Call, x: Any, axes: list[int]) -> Any:
        keepdims = bool(value.attrs.keepdims)
        inner = [axes[int(axis)] for axis in value.attrs.axis]
        kept = [axis for axis in axes if keepdims or axis not in inner]
        reduced = _REDUCTIONS[op_name(value)](x, inner, keepdims=keepdims)
        return self._after(reduced, [sorted(kept).index(axis) for axis in kept])

    def _past_slice(self, value: Call, x: Any, axes: list[int]) -> Any:
        named, *places = ([int(field.value) for field in arg.fields] for arg in value.args[1:])
        inbound = bool(value.attrs.assume_inbound)
        inner = [axes[axis] for axis in named]
        return self._after(relax.op.strided_slice(x, inner, *places, assume_inbound=inbound), axes)

    def _past_elementwise(self, value: Call, shape: tuple[int, ...]) -> Any:
        sides = [self._before_permute(arg) for arg in value.args]
        axes: list[int] = next((side_axes for _, side_axes in sides if side_axes), [])
        if not axes or any(side_axes not in ([], axes) for _, side_axes in sides):
            return value
        operands = [
            self._inverse(arg, axes, shape) if x is None else x
            for (x, _), arg in zip(sides, value.args, strict=True)
        ]
        if any(operand is None for operand in operands):
            return value
        return self._after(Call(value.op, operands, value.attrs), axes)

    def _past_concat(self, value: Call) -> Any:
        parts = self.value_of(value.args[0])
        sides = [self._before_permute(part) for part in parts.fields] if isinstance(parts, Tuple) else []
        axes = sides[0][1] if sides else []
        if not axes or any(x is None or side_axes != axes for x, side_axes in sides):
            return value
        inner = axes[int(value.attrs.axis)]
        if axes != TO_NCHW and inner == len(axes) - 1 and all(static_shape(x)[inner] == 1 for x, _ in sides):
            return value  # rows of channels, such as blocks of values, would be joined number by number
        return self._after(relax.op.concat([x for x, _ in sides], inner), axes)

    def _inverse(self, arg: Any, axes: Sequence[int], shape: tuple[int, ...]) -> Any:
        """What `arg` is before a permute by `axes`; None if it is better left where it is.

        A scalar stays, a constant is permuted now, axes of extent 1 are moved by a reshape. Another tensor is
        permuted at run time if it is smaller than the result (it broadcasts), or if that lets the operator
        become part of a layer: of a convolution, or of a linear one behind attention.
        """
        if len(arg.ty.shape) == 0:
            return arg
        extents = static_shape(arg)
        inverse = [int(axis) for axis in np.argsort(axes)]
        if is_constant(arg) and len(extents) <= len(axes):
            aligned = constant_array(arg).reshape((1,) * (len(axes) - len(extents)) + extents)
            return constant(aligned.transpose(inverse))
        if len(extents) == len(axes) and _moves_only_units(arg, inverse):
            return self.emit(relax.op.reshape(arg, [extents[axis] for axis in inverse]))
        is_smaller = math.prod(extents) < math.prod(shape)
        if len(extents) != len(axes) or not (
            is_smaller or axes == TO_NCHW or _puts_rows_first(axes, extents)
        ):
            return None
        return self.permute(arg, inverse)

    def _merge(self, value: Call) -> Any:
        x, outer = value.args[0], _axes(value)
        source, inner = self._before_permute(x)
        return self.permute(x, outer) if source is None else self.permute(source, [inner[a] for a in outer])


def _puts_rows_first(axes: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether a permute makes [L, N, C] of [N, L, C], or back, but for axes of 1; shape: of its result."""
    kept = [axis for axis, extent in zip(axes, shape, strict=True) if extent != 1]
    return [sorted(kept).index(axis) for axis in kept] == [1, 0, 2]


def _axes(call: Call) -> list[int]:
    rank = len(call.args[0].ty.shape)
    given = call.attrs.axes
    return list(range(rank))[::-1] if given is None else [int(axis) % rank for axis in given]


def _joined(shape: Sequence[int], axes: Sequence[int], target: Sequence[int]) -> list[list[int]] | None:
    """The axes of `shape`, permuted, of which a reshape makes each axis of `target`; None if it splits some,
    or joins what the permute has moved beside each other.
    """
    runs, left = [], list(axes)
    for extent in target:
        run = left[:1]
        while run and math.prod(shape[axis] for axis in run) < extent and len(run) < len(left):
            run = left[: len(run) + 1]
        if not run or math.prod(shape[axis] for axis in run) != extent:
            return None
        if any(after != before + 1 for before, after in itertools.pairwise(run)):
            return None
        runs.append(run)
        left = left[len(run) :]
    return None if left else runs


def _moves_only_units(x: Any, axes: Sequence[int]) -> bool:
    kept = [axis for axis in axes if static_shape(x)[axis] != 1]
    return kept == sorted(kept)
