"""The matrix products of an fp32 graph that have an accelerator form."""

from __future__ import annotations

from math import prod
from typing import Any

from tvm_vsq.graph import static_shape
from tvm_vsq.network import Source, WeightForm
from tvm_vsq.tvm_compat import Var


def _refusal(call: Any, has_constant_weights: bool) -> str:
    if not isinstance(call.args[0], Var):
        return "the input is a constant"
    if not has_constant_weights:
        return "both operands are activations, and only constant weights have an accelerator form yet"
    rank = len(call.args[1].ty.shape)
    return "" if rank == 2 else f"weights of rank {rank}, only [C, K] has a form"


def _macs(call: Any, result: Var) -> int:
    return max(1, prod(static_shape(result))) * static_shape(call.args[0])[-1]


SOURCE = Source(
    relax="relax.matmul",
    word="dense",
    refusal=_refusal,
    weights=WeightForm(outputs=1, inputs=0),
    macs=_macs,
)
