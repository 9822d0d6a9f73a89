"""Which values an integer input may hold: those that are indices of a table, lie within it."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.arguments import Range
from tvm_vsq.graph import bindings, constant_array, definitions, dtype_of, is_constant, op_name, static_shape
from tvm_vsq.network.facts import Elements
from tvm_vsq.network.source import facts_of
from tvm_vsq.tvm_compat import Var

BY_INDEX = {"take", "gather_elements", "gather_nd", "scatter_elements", "scatter_nd", "index_put"}
"""Operators whose operand 1 is indices."""


def index_ranges(function: relax.Function) -> dict[Var, Range]:
    """What each parameter may hold that is an index somewhere, maybe through views, copies and casts."""
    values = definitions(function)
    found: dict[Var, Range] = {}
    for binding in bindings(function):
        where = _extent(binding.value)
        if where is None:
            continue
        source, low = _origin(binding.value.args[1], values, where)
        if isinstance(source, Var) and source not in values:
            before = found.get(source, (low, where - 1))
            found[source] = max(before[0], low), min(before[1], where - 1)
    return found


def is_within(call: Any, values: dict[Var, Any]) -> bool:
    """Whether the indices of a call of `BY_INDEX` lie in its table, or are an input that can be checked."""
    where = _extent(call)
    if where is None:
        return False
    if _is_clamped(call.args[1], values, where):
        return True
    source, low = _origin(call.args[1], values, where)
    if is_constant(source):
        array = constant_array(source)
        return not array.size or bool(low <= array.min() and array.max() < where)
    return isinstance(source, Var) and source not in values


def _extent(call: Any) -> int | None:
    """How many rows a lookup along one axis chooses from; None for anything else."""
    name = op_name(call).removeprefix("relax.")
    if name not in ("take", "gather_elements"):
        return None
    shape = static_shape(call.args[0])
    axis = call.attrs.axis
    return int(np.prod(shape)) if axis is None else shape[int(axis)]


def _origin(indices: Any, values: dict[Var, Any], extent: int) -> tuple[Any, int]:
    """The input or constant whose elements `indices` are, and the smallest one that the lookup allows.

    Negative ones count from the end where the model adds `extent` to them.
    """
    low = 0
    while isinstance(indices, Var) and indices in values:
        call = values[indices]
        wrapped = _wrapped(call, values, extent)
        if wrapped is not None:
            indices, low = wrapped, -extent
        elif _keeps_elements(call):
            indices = call.args[0]
        else:
            break
    return indices, low


def _is_clamped(indices: Any, values: dict[Var, Any], extent: int) -> bool:
    """Whether the model itself limits `indices` to those of a table."""
    low, high, least = -inf, inf, 0
    while isinstance(indices, Var) and indices in values:
        call = values[indices]
        wrapped = _wrapped(call, values, extent)
        if wrapped is not None:
            indices, least = wrapped, -extent
            continue
        bounds = facts_of(call).clamp(call)
        if bounds is not None:
            low, high = min(max(low, bounds[0]), high), min(high, bounds[1])
        elif not _keeps_elements(call):
            break
        indices = call.args[0] if isinstance(call.args[0], Var) else None
    return low >= least and high <= extent - 1


def _keeps_elements(call: Any) -> bool:
    """Whether all elements of a call's result are some of those of its first operand, an integer tensor."""
    if op_name(call) == "relax.astype":
        return dtype_of(call.args[0]).startswith("int") and dtype_of(call) in ("int32", "int64")
    if op_name(call) == "relax.nn.pad":
        return False
    kept = (Elements.VIEWED, Elements.COPIED)
    return facts_of(call).elements in kept and isinstance(getattr(call.args[0], "ty", None), relax.TensorType)


def _wrapped(call: Any, values: dict[Var, Any], extent: int) -> Any:
    """x, if a call is where(x < 0, x + extent, x); else None."""
    if op_name(call) != "relax.where":
        return None
    is_negative, shifted, x = (values.get(arg, arg) if isinstance(arg, Var) else arg for arg in call.args)
    x = call.args[2]
    tests_sign = op_name(is_negative) == "relax.less" and is_negative.args[0].same_as(x)
    adds = op_name(shifted) == "relax.add" and shifted.args[0].same_as(x)
    if tests_sign and adds and _is_number(is_negative.args[1], 0) and _is_number(shifted.args[1], extent):
        return x
    return None


def _is_number(expr: Any, number: int) -> bool:
    return is_constant(expr) and bool((constant_array(expr) == number).all())
