"""Splits, flips and shuffles as slices and takes, which passes can move."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
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
from tvm_vsq.tvm_compat import Call, IRModule, Var

_MOST = 1 << 24
"""Elements of a tensor (batch aside) up to which it is looked up what becomes of each."""


def selections_to_takes(module: IRModule) -> IRModule:
    """A piece of a split, and a take of one element, become a strided_slice, what repeats or turns an axis
    round a take, and reshape, permute_dims, reshape that shuffle one axis (ShuffleNet's channels) a take,
    too. So do borders that repeat what is inside; those that crop are slices. The largest of an axis that a
    topk of one gives becomes a max.
    """
    return replace_main(module, _SelectionsToTakes(module["main"]).run())


class _SelectionsToTakes(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        if isinstance(value, relax.TupleGetItem):
            return self._of_tuple(value)
        name = op_name(value)
        if name == "relax.flip":
            axis = int(value.attrs.axis)
            return taken(value.args[0], np.arange(static_shape(value.args[0])[axis])[::-1], axis)
        if name == "relax.repeat" and value.attrs.axis is not None:
            axis, count = int(value.attrs.axis), int(value.attrs.repeats)
            return taken(value.args[0], np.arange(static_shape(value.args[0])[axis]).repeat(count), axis)
        if name == "relax.take" and value.attrs.axis is not None:
            return self._one(value, static_shape(var))
        if name == "relax.nn.pad":
            return self._padded(value)
        if name in _REDUCTIONS:
            return self._over_image(value, static_shape(var))
        return self._shuffled(value, static_shape(var)) if name == "relax.reshape" else value

    def _one(self, value: Call, shape: tuple[int, ...]) -> Any:
        """A take of one element, which drops the axis, as a slice and a reshape."""
        x, index = value.args[0], value.args[1]
        if not is_constant(index) or len(index.ty.shape):
            return value
        axis, at = int(value.attrs.axis) % len(x.ty.shape), int(constant_array(index))
        return relax.op.reshape(self.emit(relax.op.strided_slice(x, [axis], [at], [at + 1])), shape)

    def _padded(self, value: Call) -> Any:
        """Borders of what is inside as takes; borders of less than nothing, which crop, as a slice."""
        x, mode = value.args[0], str(value.attrs.pad_mode)
        widths = np.array([int(width) for width in value.attrs.pad_width]).reshape(-1, 2)
        shape = static_shape(x)
        if (widths < 0).any():
            cut = np.minimum(widths, 0)
            axes = [axis for axis in range(len(shape)) if cut[axis].any()]
            begins, ends = ([-int(cut[a][0]) for a in axes], [shape[a] + int(cut[a][1]) for a in axes])
            x, widths = relax.op.strided_slice(x, axes, begins, ends), np.maximum(widths, 0)
            if not widths.any():
                return x
            x = self.emit(x)
            if mode == "constant":
                return relax.op.nn.pad(x, widths.reshape(-1).tolist(), mode, float(value.attrs.pad_value))
        if mode not in _BORDERS:
            return value
        for axis in np.flatnonzero(widths.any(axis=1)):
            indices = np.pad(np.arange(static_shape(x)[axis]), widths[axis], mode=_BORDERS[mode])
            x = self.emit(taken(x, indices, int(axis)))
        return x

    def _over_image(self, value: Call, shape: tuple[int, ...]) -> Any:
        """A reduction over rows and columns that were made one axis, as one over both."""
        flat: Any = self.value_of(value.args[0])
        axes = value.attrs.axis
        if op_name(flat) != "relax.reshape" or axes is None or [int(axis) % 3 for axis in axes] != [2]:
            return value
        given, flattened = static_shape(flat.args[0]), static_shape(value.args[0])
        if len(given) != 4 or len(flattened) != 3 or given[:2] != flattened[:2]:
            return value
        reduced = self.emit(_REDUCTIONS[op_name(value)](flat.args[0], [2, 3]))
        return reduced if static_shape(reduced) == shape else relax.op.reshape(reduced, shape)

    def _of_tuple(self, value: Any) -> Any:
        call: Any = self.value_of(value.tuple_value)
        if op_name(call) == "relax.split":
            return _piece(call, value.index)
        is_largest = op_name(call) == "relax.topk" and int(call.attrs.k) == 1 and bool(call.attrs.largest)
        if is_largest and str(call.attrs.ret_type) == "both" and value.index == 0:
            largest = relax.op.max(call.args[0], [int(call.attrs.axis)], keepdims=True)
            return self._over_image(largest, static_shape(self.emit(largest)))
        return value

    def _shuffled(self, value: Call, shape: tuple[int, ...]) -> Any:
        permute: Any = self.value_of(value.args[0])
        if op_name(permute) != "relax.permute_dims" or permute.attrs.axes is None:
            return value
        apart: Any = self.value_of(permute.args[0])
        if op_name(apart) != "relax.reshape" or static_shape(apart.args[0]) != shape:
            return value
        axes = [int(axis) for axis in permute.attrs.axes]
        found = _along_one_axis(shape, static_shape(permute.args[0]), axes)
        return value if found is None else taken(apart.args[0], found[1], found[0])


_BORDERS: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""What TVM's modes of relax.nn.pad are in NumPy."""

_REDUCTIONS = {"relax.max": relax.op.max, "relax.mean": relax.op.mean, "relax.sum": relax.op.sum}


def taken(x: Any, indices: npt.NDArray[Any], axis: int) -> Call:
    """relax.take of constant indices, all within the axis."""
    return relax.op.take(x, constant(np.asarray(indices, np.int64)), axis=axis, mode="clip")


def _piece(call: Call, index: int) -> Any:
    x, axis, given = call.args[0], int(call.attrs.axis), call.attrs.indices_or_sections
    extent = static_shape(x)[axis]
    if isinstance(given, int) or not hasattr(given, "__len__"):
        size = -(-extent // int(given))
        borders = list(range(0, extent, size))
    else:
        borders = [0, *(min(int(border), extent) for border in given)]
    borders.append(extent)
    return relax.op.strided_slice(x, [axis % len(x.ty.shape)], [borders[index]], [borders[index + 1]])


def _along_one_axis(
    shape: tuple[int, ...], apart: tuple[int, ...], axes: list[int]
) -> tuple[int, npt.NDArray[np.int64]] | None:
    """(axis, indices) of the take that reshape to `apart`, permute_dims by `axes` and reshape back are."""
    if prod(shape[1:]) > _MOST or apart[0] != shape[0] or axes[0] != 0:
        return None
    before = np.arange(prod(shape[1:])).reshape(shape[1:])
    after = before.reshape(apart[1:]).transpose([axis - 1 for axis in axes[1:]]).reshape(shape[1:])
    for axis, extent in enumerate(shape[1:]):
        step = prod(shape[axis + 2 :])
        corner = tuple(slice(None) if other == axis else 0 for other in range(len(shape) - 1))
        indices = after[corner] // step
        if (indices < extent).all() and np.array_equal(after, before.take(indices, axis)):
            return axis + 1, indices
    return None
