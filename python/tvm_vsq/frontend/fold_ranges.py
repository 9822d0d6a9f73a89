"""Ranges of numbers as constants."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.graph import Rebuilder, constant, op_name, replace_main
from tvm_vsq.tvm_compat import IntImm, IRModule, Var


def fold_ranges(module: IRModule) -> IRModule:
    """relax.arange of integers becomes a constant: indices and weights of a resize follow from such.

    TVM's FoldConstant leaves what has no operand as it is.
    """
    return replace_main(module, _FoldRanges(module["main"]).run())


class _FoldRanges(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.arange" or not isinstance(var.ty, relax.TensorType):
            return value
        limits = [getattr(limit, "value", limit) for limit in value.args]
        if not all(isinstance(limit, int | IntImm) for limit in limits):
            return value
        numbers = np.arange(*(int(limit) for limit in limits))
        return constant(numbers.astype(str(value.attrs.dtype)))
