"""The matrix products of an fp32 graph that have an accelerator form."""

from __future__ import annotations

from math import prod
from typing import Any

from tvm_vsq.graph import static_shape
from tvm_vsq.network import Source, WeightForm
from tvm_vsq.tvm_compat import Var

_MATRIX = 2
"""Axes of weights, be they constants or restored from such; stacks of activations have more."""


def _matches(call: Any) -> bool:
    return not isinstance(call.args[1], Var) or len(call.args[1].ty.shape) <= _MATRIX


def _refusal(call: Any, has_constant_weights: bool) -> str:
    if not isinstance(call.args[0], Var):
        return "the input is a constant"
    if not has_constant_weights:
        return "its weights are no constants"
    rank = len(call.args[1].ty.shape)
    return "" if rank == 2 else f"weights of rank {rank}, only [C, K] has a form"


def _macs(call: Any, result: Var) -> int:
    return max(1, prod(static_shape(result))) * static_shape(call.args[0])[-1]


SOURCE = Source(
    relax="relax.matmul",
    word="dense",
    refusal=_refusal,
    matches=_matches,
    weights=WeightForm(outputs=1, inputs=0),
    macs=_macs,
    transposes=True,
)
