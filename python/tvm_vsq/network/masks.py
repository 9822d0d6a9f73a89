"""Inputs that are masks: what reads them bounds or compares their numbers, so that these may be -inf."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.graph import bindings, definitions, dtype_of, leaves, op_name
from tvm_vsq.network.facts import Elements
from tvm_vsq.network.source import facts_of
from tvm_vsq.tvm_compat import Var

HIDES = -1e4
"""What a mask that hides a place holds there, at most: beside other scores, its probability is 0 in fp32."""

_ASKS = {f"relax.{name}" for name in ("equal", "greater", "greater_equal", "less", "less_equal", "not_equal")}


def masks(function: relax.Function) -> set[Var]:
    """The float32 parameters that only comparisons read, and bounds at the least float32
    (`frontend.finite_masks`), maybe moved, or in a sum with others."""
    values, readers = definitions(function), dict[Var, list[Var]]()
    for binding in bindings(function):
        for leaf in leaves(binding.value):
            if isinstance(leaf, Var):
                readers.setdefault(leaf, []).append(binding.var)

    def is_mask(var: Var) -> bool:
        if var.same_as(function.body.body) or not readers.get(var):
            return False
        return all(
            _is_bounded(values[each]) or (_passes_on(values[each]) and is_mask(each)) for each in readers[var]
        )

    return {param for param in function.params if dtype_of(param) == "float32" and is_mask(param)}


def _is_bounded(call: Any) -> bool:
    if op_name(call) in _ASKS:
        return True
    clamp = facts_of(call).clamp(call)
    return clamp is not None and clamp[0] == np.finfo(np.float32).min


def _passes_on(call: Any) -> bool:
    return op_name(call) == "relax.add" or facts_of(call).elements in (Elements.VIEWED, Elements.COPIED)
