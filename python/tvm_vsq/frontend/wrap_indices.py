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
    definitions,
    is_constant,
    leaves,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.network.indices import BY_INDEX, is_within
from tvm_vsq.tvm_compat import IRModule, Var


def wrap_indices(module: IRModule) -> IRModule:
    """Rewrite `take` with constant indices, negative ones as PyTorch's `x[:, -1]` has them.

    TVM's fast mode reads out of bounds there, and warns of it everywhere. Raises ModelError for an index
    outside the axis.
    """
    return replace_main(module, _WrapIndices(module["main"]).run())


def check_indices(module: IRModule) -> None:
    """Raise ModelError for indices that the network computes of an input: TVM leaves the tensor where they
    do. An input that is an index itself is checked when it comes (`network.inputs`)."""
    decided: set[Any] = set(module["main"].params)
    values = definitions(module["main"])
    for binding in bindings(module["main"]):
        value: Any = binding.value
        name = op_name(value).removeprefix("relax.")
        is_lookup = name in BY_INDEX and decided.intersection(_variables(value.args[1]))
        if is_lookup and not is_within(value, values):
            raise ModelError(
                f"'{name}' takes indices that are computed from the inputs, and nothing checks that they lie "
                "within the tensor; pass the indices themselves in as an input, or do this lookup outside of "
                "the model"
            )
        if decided.intersection(_variables(value)):
            decided.add(binding.var)


def _variables(value: Any) -> list[Var]:
    return [leaf for leaf in leaves(value) if isinstance(leaf, Var)]


class _WrapIndices(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.take":
            return value
        if not is_constant(value.args[1]):
            # whatever is given, nothing outside of the table is read
            axis = None if value.attrs.axis is None else int(value.attrs.axis)
            return relax.op.take(*value.args, axis=axis, mode="clip")
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
