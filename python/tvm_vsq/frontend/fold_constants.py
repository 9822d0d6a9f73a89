"""Values that follow from constants alone, as constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.graph import (
    Rebuilder,
    bindings,
    constant,
    constant_array,
    dtype_of,
    is_constant,
    leaves,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.tvm_compat import Call, IntImm, IRModule, Op, Var

# In the operands' dtype, rounded as TVM rounds them.
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "relax.add": np.add,
    "relax.subtract": np.subtract,
    "relax.multiply": np.multiply,
    "relax.floor": np.floor,
    "relax.abs": np.abs,
    "relax.negative": np.negative,
}
_RESHAPES = {"relax.reshape", "relax.flatten", "relax.squeeze", "relax.expand_dims"}
_OF_SHAPES = {"relax.shape_of", "relax.shape_to_tensor", "relax.tensor_to_shape"}


def fold_constants(module: IRModule) -> IRModule:
    """What has only constant operands is computed.

    Ranges of integers, moves, and the arithmetic of indices are computed here: TVM's FoldConstant leaves
    ranges, which have no operand, and compiles a function for every other operator, which takes as long as
    the rest of an import.
    """
    module = replace_main(module, _Fold(module["main"]).run())
    is_done = not any(_may_fold(binding.value) for binding in bindings(module["main"]))
    return module if is_done else relax.transform.FoldConstant()(module)


def _may_fold(value: Any) -> bool:
    if not isinstance(value, Call):
        return False
    is_known = isinstance(value.op, Op) and op_name(value) not in _OF_SHAPES
    return not is_known or not any(isinstance(leaf, Var) for leaf in leaves(value))


class _Fold(Rebuilder):
    def _part(self, value: relax.TupleGetItem) -> Any:
        """One of the parts that a constant is split into."""
        split: Any = self.value_of(value.tuple_value)
        if op_name(split) != "relax.split" or not is_constant(split.args[0]):
            return value
        array, axis = split.args[0].value.numpy(), int(split.attrs.axis)
        ends = np.cumsum([int(part.shape[axis]) for part in split.ty.fields])
        return constant(np.split(array, ends[:-1], axis)[value.index])

    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        if not isinstance(var.ty, relax.TensorType):
            return value
        if name == "relax.arange":
            return _range(value)
        if name == "relax.full" and is_constant(value.args[1]):
            number = constant_array(value.args[1]).astype(dtype_of(var))
            return constant(np.full(static_shape(var), number))
        if isinstance(value, relax.TupleGetItem):
            return self._part(value)
        if not isinstance(value, Call) or not value.args or not is_constant(value.args[0]):
            return value
        array, shape = value.args[0].value.numpy(), static_shape(var)
        if name in _RESHAPES:
            return constant(array.reshape(shape))
        if name == "relax.broadcast_to":
            return constant(np.broadcast_to(array, shape))
        if name == "relax.permute_dims":
            axes = value.attrs.axes
            return constant(array.transpose(None if axes is None else [int(axis) for axis in axes]))
        if name == "relax.astype" and np.isfinite(array).all():
            return constant(array.astype(dtype_of(var)))
        if name == "relax.clip" and np.isfinite(array).all():
            ends: Any = np.finfo(array.dtype) if array.dtype.kind == "f" else np.iinfo(array.dtype)
            # an open end is infinite, also beside integers
            low, high = (min(max(limit.value, ends.min), ends.max) for limit in value.args[1:])
            return constant(np.clip(array, array.dtype.type(low), array.dtype.type(high)))
        if name == "relax.cumsum" and array.dtype.kind == "i" and not value.attrs.exclusive:
            axis = None if value.attrs.axis is None else int(value.attrs.axis)
            return constant(np.cumsum(array, axis, dtype_of(var)))
        if name in _ARITHMETIC and all(is_constant(arg) for arg in value.args):
            return constant(_ARITHMETIC[name](*(constant_array(arg) for arg in value.args)))
        return value


def _range(value: Any) -> Any:
    limits = [getattr(limit, "value", limit) for limit in value.args]
    if not all(isinstance(limit, int | IntImm) for limit in limits):
        return value
    return constant(np.arange(*(int(limit) for limit in limits)).astype(str(value.attrs.dtype)))
