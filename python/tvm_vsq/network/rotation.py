"""fp32.rotate: pairs of numbers of each row turned by angles, as rotary embeddings of positions do.

Relax has no operator for it; models spell it with slices, signs and products (`frontend.rotations`).
"""

from __future__ import annotations

from typing import Any

from tvm import relax, te, tirx

from tvm_vsq.errors import ModelError
from tvm_vsq.graph import static_shape
from tvm_vsq.network.register import register_op
from tvm_vsq.tvm_compat import Call, Expr

NAME = "fp32.rotate"


def rotate(x: Expr, turns: Expr) -> Call:
    """`x` f32[..., heads * D] with numbers i and i + D/2 of each head of D turned as a pair.

    `turns` f32[..., D], with 1 in place of axes where it is repeated, holds the D/2 cosines of a position,
    and behind them the sines: (a, b) becomes (a cos - b sin, b cos + a sin). Raises ModelError for shapes
    that do not fit.
    """
    return Call(_OP, [x, turns])


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    x, turns = (static_shape(arg) for arg in call.args)
    fits = len(x) == len(turns) and all(b in (a, 1) for a, b in zip(x[:-1], turns[:-1], strict=True))
    if not fits or turns[-1] % 2 or x[-1] % turns[-1]:
        raise ModelError(f"{NAME}: numbers {list(x)} cannot be turned by {list(turns)} cosines and sines")
    return relax.TensorType(list(x), "float32")


def _legalize(builder: relax.BlockBuilder, call: Call) -> Expr:
    return builder.call_te(_rotate_te, *call.args, primfunc_name_hint="rotate")


def _rotate_te(x: te.Tensor, turns: te.Tensor) -> te.Tensor:
    size = int(turns.shape[-1])
    half = size // 2

    def value(*at: Any) -> Any:
        *row, channel = at
        place = [0 if int(extent) == 1 else i for i, extent in zip(row, turns.shape[:-1], strict=True)]
        pair = channel % half
        cos, sin = turns(*place, pair), turns(*place, pair + half)
        is_first = channel % size < half
        first = channel // size * size + pair
        turned_first = x(*row, first) * cos - x(*row, first + half) * sin
        turned_second = x(*row, first + half) * cos + x(*row, first) * sin
        return tirx.if_then_else(is_first, turned_first, turned_second)

    return te.compute(x.shape, value, name="rotated")


_OP = register_op(
    NAME, "Pairs of numbers of each row turned by angles.", _infer_type, _legalize, printed=NAME
)
