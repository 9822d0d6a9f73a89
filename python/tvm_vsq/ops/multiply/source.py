"""The products of an fp32 graph that have an accelerator form."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.graph import static_shape
from tvm_vsq.network import Source
from tvm_vsq.tvm_compat import Var

_AXES = 4
"""Of a tensor that another one is broadcast over."""


def _matches(call: Any) -> bool:
    """Of two tensors with as many channels; the second has as many rows and columns as the first, or one.

    The canonical form has no other order. A constant is a scale.
    """
    operands = call.args[:]
    if not all(isinstance(x, Var) and isinstance(x.ty, relax.TensorType) for x in operands):
        return False
    x, other = map(static_shape, operands)
    if len(x) < 2 or len(x) != len(other) or x[-1] != other[-1]:
        return False
    return x == other or (
        len(x) <= _AXES and all(b in (a, 1) for a, b in zip(x[:-1], other[:-1], strict=True))
    )


SOURCE = Source(
    relax="relax.multiply",
    word="multiply",
    refusal=lambda _call, _has_constant_weights: "",
    matches=_matches,
    other=1,
)
