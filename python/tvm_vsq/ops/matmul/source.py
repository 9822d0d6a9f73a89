"""The products of two activations of an fp32 graph that have an accelerator form.

In the canonical form the second one is transposed: rows of both are what is multiplied and summed. Matrices
[n, h] of the first one may share one of the second, [n, 1].
"""

from __future__ import annotations

from math import prod
from typing import Any

from tvm import relax

from tvm_vsq.graph import static_shape
from tvm_vsq.network import Source
from tvm_vsq.tvm_compat import Var

_AXES = (3, 4)
"""Of stacks of matrices that are one for each image, and for each part of its channels."""


def _matches(call: Any) -> bool:
    """Of two stacks; a constant is weights, and so may be a matrix."""
    operands = call.args[:]
    if not all(isinstance(x, Var) and isinstance(x.ty, relax.TensorType) for x in operands):
        return False
    return len(static_shape(operands[1])) >= _AXES[0]


def _refusal(call: Any, _has_constant_weights: bool) -> str:
    x, other = (static_shape(operand) for operand in call.args)
    if len(x) != len(other) or len(x) not in _AXES:
        return f"operands of {len(x)} and {len(other)} axes; both need three or four"
    fits = x[:-2] == other[:-2] or (len(x) == _AXES[1] and (x[0], 1) == other[:-2])
    return "" if fits else f"stacks of {list(x[:-2])} and {list(other[:-2])} matrices"


def _macs(call: Any, result: Var) -> int:
    return max(1, prod(static_shape(result))) * static_shape(call.args[0])[-1]


SOURCE = Source(
    relax="relax.matmul",
    word="matmul",
    refusal=_refusal,
    matches=_matches,
    other=1,
    other_is_transposed=True,
    macs=_macs,
)
