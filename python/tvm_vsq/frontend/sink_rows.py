"""Moves what drops the row of an image behind other operators, so that layers on sequences meet as images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.graph import (
    Rebuilder,
    constant,
    constant_array,
    is_constant,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.network import facts_of
from tvm_vsq.tvm_compat import Call, IRModule, Tuple, Var

_REDUCTIONS = {"relax.mean": relax.op.mean, "relax.max": relax.op.max, "relax.sum": relax.op.sum}


def sink_rows(module: IRModule) -> IRModule:
    """`op(reshape(x))` becomes `reshape(op(x))` where the reshape drops an axis of one element, of four.

    Covers elementwise operators, batch norm, concatenation, slices, zeros around, permutes and reductions.
    What is in front of a reshape that adds such an axis, and lays out the input, comes behind it.
    """
    return replace_main(module, _SinkRows(module["main"]).run())


class _SinkRows(Rebuilder):
    def __init__(self, function: relax.Function) -> None:
        super().__init__(function)
        self._images: dict[tuple[Var, int], Any] = {}

    def rewrite(self, var: Var, value: Any) -> Any:
        image = self._as_image(value, var)
        if image is None:
            return value
        if not isinstance(image, Var):
            image = self.emit(image)
        shape = static_shape(var)
        return image if static_shape(image) == shape else relax.op.reshape(image, shape)

    def _as_image(self, value: Any, var: Var) -> Any:
        """The elements of `value`, computed from images; None if it is better left as it is."""
        name = op_name(value)
        if isinstance(value, relax.TupleGetItem):
            return self._normalized(value)
        if name == "relax.concat":
            return self._concatenated(value)
        if not name or not value.args:
            return None
        if facts_of(value).elementwise == 2:
            return self._binary(value, var)
        if name == "relax.reshape":
            return self._reshaped(value)
        x, row = self._before_reshape(value.args[0])
        if x is None:
            return None
        if facts_of(value).elementwise == 1:
            return Call(value.op, [x, *value.args[1:]], value.attrs)
        if name in _REDUCTIONS and value.attrs.axis is not None:
            axes = sorted({row, *(_behind(axis, row) for axis in value.attrs.axis)})
            return _REDUCTIONS[name](x, axes, keepdims=bool(value.attrs.keepdims))
        if name == "relax.strided_slice":
            named, *places = ([int(field.value) for field in arg.fields] for arg in value.args[1:])
            axes, inbound = [_behind(axis, row) for axis in named], bool(value.attrs.assume_inbound)
            return relax.op.strided_slice(x, axes, *places, assume_inbound=inbound)
        if name == "relax.take" and value.attrs.axis is not None and len(value.args[1].ty.shape) == 1:
            axis, mode = _behind(value.attrs.axis, row), str(value.attrs.mode)
            return relax.op.take(x, value.args[1], axis=axis, mode=mode)
        if name in _LAYOUT:
            return _moved(value, x, row)
        return None

    def _before_reshape(self, arg: Any) -> tuple[Any, int]:
        """The image that `arg` is a view of, and its axis of rows; else (None, 0)."""
        call = self.value_of(arg)
        if op_name(call) != "relax.reshape" or len(static_shape(call.args[0])) != 4:
            return None, 0
        x, shape = call.args[0], static_shape(arg)
        # any axis that the shapes allow computes the same; the one of NCHW, which importers have, comes first
        return next(((x, row) for row in _ROWS if _with_row(shape, row) == static_shape(x)), (None, 0))

    def _image(self, x: Any, row: int) -> Any:
        """`x`, of three axes or fewer that broadcast, as an image."""
        if len(x.ty.shape) == 0:
            return x
        shape = static_shape(x)
        aligned = (1,) * (3 - len(shape)) + shape
        if is_constant(x):
            return constant(np.expand_dims(constant_array(x).reshape(aligned), row))
        if (x, row) not in self._images:
            self._images[x, row] = self._new_image(x, _with_row(aligned, row), row)
        return self._images[x, row]

    def _new_image(self, x: Var, shape: tuple[int, ...], row: int) -> Any:
        source = self.value_of(x)
        if op_name(source) == "relax.reshape":
            x = source.args[0]
        elif op_name(source) in _LAYOUT and len(static_shape(x)) == 3:
            given = _axes(source)[row] if op_name(source) == "relax.permute_dims" else row
            return self.emit(_moved(source, self._image(source.args[0], given), given))
        return x if static_shape(x) == shape else self.emit(relax.op.reshape(x, shape))

    def _binary(self, value: Call, var: Var) -> Any:
        rows = [row for x, row in map(self._before_reshape, value.args) if x is not None]
        if not rows or len(static_shape(var)) != 3:
            return None
        return Call(value.op, [self._image(arg, rows[0]) for arg in value.args], value.attrs)

    def _concatenated(self, value: Call) -> Any:
        parts = self.value_of(value.args[0])
        fields = list(parts.fields) if isinstance(parts, Tuple) else []
        rows = [row for x, row in map(self._before_reshape, fields) if x is not None]
        if not rows:
            return None
        axis = _behind(value.attrs.axis or 0, rows[0])
        return relax.op.concat([self._image(field, rows[0]) for field in fields], axis)

    def _normalized(self, value: Any) -> Any:
        """A batch norm's result, of an image."""
        norm = self.value_of(value.tuple_value)
        if value.index != 0 or not isinstance(norm, Call) or op_name(norm) != "relax.nn.batch_norm":
            return None
        x, row = self._before_reshape(norm.args[0])
        if x is None:
            return None
        attrs = norm.attrs
        image = relax.op.nn.batch_norm(
            x,
            *norm.args[1:],
            axis=_behind(attrs.axis, row),
            epsilon=float(attrs.epsilon),
            center=bool(attrs.center),
            scale=bool(attrs.scale),
            momentum=float(attrs.momentum),
            training=bool(attrs.training),
        )
        return relax.TupleGetItem(self.emit(image), 0)

    def _reshaped(self, value: Call) -> Any:
        """A reshape of an image is one of the image; what lays out a sequence lays out its image."""
        x, target = value.args[0], tuple(int(extent) for extent in value.args[1])
        image, _ = self._before_reshape(x)
        if image is not None:
            return image
        shape = static_shape(x)
        row = next((row for row in _ROWS if len(shape) == 3 and _with_row(shape, row) == target), None)
        return None if row is None or op_name(self.value_of(x)) not in _LAYOUT else self._image(x, row)


_ROWS = (2, 1)
"""Where images of one row have it: NCHW, NHWC."""

_LAYOUT = ("relax.nn.pad", "relax.permute_dims")


def _moved(call: Call, x: Any, row: int) -> Call:
    """A permute, or values around a sequence, of the image `x`, whose row stays in front of its columns."""
    if op_name(call) == "relax.permute_dims":
        axes = [_behind(axis, row) for axis in _axes(call)]
        axes.insert(axes.index(row + 1), row)
        return relax.op.permute_dims(x, axes)
    widths, attrs = [int(width) for width in call.attrs.pad_width], call.attrs
    widths[2 * row : 2 * row] = [0, 0]
    return relax.op.nn.pad(x, widths, str(attrs.pad_mode), float(attrs.pad_value))


def _axes(permute: Call) -> list[int]:
    given = permute.attrs.axes
    return [2, 1, 0] if given is None else [int(axis) % 3 for axis in given]


def _with_row(shape: Sequence[int], row: int) -> tuple[int, ...]:
    return (*shape[:row], 1, *shape[row:])


def _behind(axis: Any, row: int) -> int:
    """An axis of a sequence, of three, in its image."""
    return int(axis) % 3 + (int(axis) % 3 >= row)
