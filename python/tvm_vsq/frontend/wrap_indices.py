"""Makes constant indices that count from the end count from the start."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.errors import ModelError
from tvm_vsq.graph import (
    Rebuilder,
    bindings,
    constant,
    constant_array,
    is_constant,
    leaves,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.tvm_compat import IRModule, Var


def wrap_indices(module: IRModule) -> IRModule:
    """Rewrite `take` with constant indices, negative ones as PyTorch's `x[:, -1]` has them.

    TVM's fast mode reads out of bounds there, and warns of it everywhere. Raises ModelError for an index
    outside the axis.
    """
    return replace_main(module, _WrapIndices(module["main"]).run())


_BY_INDEX = {"take", "gather_elements", "gather_nd", "scatter_elements", "scatter_nd", "index_put"}


def check_indices(module: IRModule) -> None:
    """Raise ModelError for indices that an input decides: TVM leaves the tensor where they do."""
    decided: set[Any] = set(module["main"].params)
    for binding in bindings(module["main"]):
        value: Any = binding.value
        name = op_name(value).removeprefix("relax.")
        if name in _BY_INDEX and decided.intersection(_variables(value.args[1])):
            raise ModelError(
                f"'{name}' takes indices that the inputs decide, and nothing checks that they lie within "
                "the tensor; do this lookup outside of the model"
            )
        if decided.intersection(_variables(value)):
            decided.add(binding.var)


def _variables(value: Any) -> list[Var]:
    return [leaf for leaf in leaves(value) if isinstance(leaf, Var)]


class _WrapIndices(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.take" or not is_constant(value.args[1]):
            return value
        x, indices = value.args[0], constant_array(value.args[1])
        axis = None if value.attrs.axis is None else int(value.attrs.axis)
        extent = int(np.prod(static_shape(x))) if axis is None else static_shape(x)[axis]
        if (indices < -extent).any() or (indices >= extent).any():
            raise ModelError(
                f"an index {indices.tolist()} is outside an axis of {extent} elements; correct it"
            )
        if (indices >= 0).all() and str(value.attrs.mode) == "clip":
            return value
        wrapped = constant(np.where(indices < 0, indices + extent, indices).astype(indices.dtype))
        return relax.op.take(x, wrapped, axis=axis, mode="clip")  # of "fast", TVM warns on stderr
