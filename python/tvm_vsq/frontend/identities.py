"""Lookups with constant indices that take every element in its order, as reshapes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.graph import Rebuilder, constant_array, is_constant, op_name, replace_main, static_shape
from tvm_vsq.tvm_compat import Call, IRModule, Var


def lookups_to_reshapes(module: IRModule) -> IRModule:
    """`take` and `gather_nd` of all elements in order become reshapes; exporters index masks that way."""
    return replace_main(module, _Lookups(module["main"]).run())


class _Lookups(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        if name not in ("relax.gather_nd", "relax.take") or not is_constant(value.args[1]):
            return value
        places = _places(name, value)
        shape, given = static_shape(var), static_shape(value.args[0])
        is_identity = places is not None and prod(shape) == prod(given)
        if not is_identity or not np.array_equal(places, np.arange(len(places))):
            return value
        return value.args[0] if shape == given else relax.op.reshape(value.args[0], shape)


def _places(name: str, value: Call) -> Any:
    """Which rows of the leading axes a lookup takes, one after the other; None if it is not of rows."""
    indices, shape = constant_array(value.args[1]), static_shape(value.args[0])
    if name == "relax.take":
        axis = value.attrs.axis
        is_first = axis is not None and int(axis) % len(shape) == 0
        return indices.reshape(-1) if is_first else None
    if int(value.attrs.batch_dims):
        return None
    count = indices.shape[-1]
    rows = indices.reshape(-1, count)
    inside = (rows >= 0) & (rows < np.array(shape[:count]))
    return np.ravel_multi_index(tuple(rows.T), shape[:count]) if inside.all() else None
