"""The sums of an fp32 graph that have an accelerator form."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.graph import static_shape
from tvm_vsq.network import Source
from tvm_vsq.tvm_compat import Var


def _matches(call: Any) -> bool:
    """Of two tensors of one shape; a constant is a bias."""
    operands = call.args[:]
    if not all(isinstance(x, Var) and isinstance(x.ty, relax.TensorType) for x in operands):
        return False
    x, other = map(static_shape, operands)
    return x == other and len(x) > 1


SOURCE = Source(
    relax="relax.add",
    word="add",
    refusal=lambda _call, _has_constant_weights: "",
    matches=_matches,
    residual=1,
)
