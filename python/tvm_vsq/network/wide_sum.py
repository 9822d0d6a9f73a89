"""fp32.add_rows: a sum of two tensors whose operands and result layers hold as numbers of 32 bits, not as
vectors (`quantize.wide_streams`).
"""

from __future__ import annotations

from tvm import relax, te

from tvm_vsq.errors import ModelError
from tvm_vsq.graph import static_shape
from tvm_vsq.network.register import register_op
from tvm_vsq.tvm_compat import Call, Expr

NAME = "fp32.add_rows"


def add_rows(x: Expr, other: Expr) -> Call:
    """`x` f32[..., K] plus `other` of the same shape. Raises ModelError for others."""
    return Call(_OP, [x, other])


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    x, other = (static_shape(arg) for arg in call.args)
    if x != other:
        raise ModelError(f"{NAME}: {list(x)} and {list(other)} are of different shapes")
    return relax.TensorType(list(x), "float32")


def _legalize(builder: relax.BlockBuilder, call: Call) -> Expr:
    def compute(x: te.Tensor, other: te.Tensor) -> te.Tensor:
        return te.compute(x.shape, lambda *at: x(*at) + other(*at), name="sum")

    return builder.call_te(compute, *call.args, primfunc_name_hint="add_rows")


_OP = register_op(NAME, "A sum that is no sum of vectors.", _infer_type, _legalize, printed=NAME)
