"""vsq.moved: whole vectors moved, where the accelerator finds them in place (`placement.moves`).

It stands for a relax.concat, relax.strided_slice or relax.reshape of vectors while regions are formed, and in
them; nothing computes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tvm import relax

from tvm_vsq.placement.regions import MOVED as NAME
from tvm_vsq.relax_ops.checks import OperatorError, attribute, integer, read_attributes
from tvm_vsq.relax_ops.register import register_op
from tvm_vsq.tvm_compat import Call, Expr


def moved(
    operands: Sequence[Expr], kind: str, numbers: Sequence[int], shape: Sequence[int], key: int
) -> Call:
    """`operands` int16[..., CV, V+1] moved to int16 `shape`: `kind` and `numbers` are the move, `key` tells
    calls apart.
    """
    given = {"kind": kind, "numbers": list(numbers), "shape": list(shape), "key": key}
    return Call(_OP, list(operands), given)


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    shape = [
        integer(NAME, f"shape[{axis}]", extent, 1, np.iinfo(np.int32).max)
        for axis, extent in enumerate(attribute(NAME, read_attributes(call), "shape"))
    ]
    return relax.TensorType(shape, "int16")


def _legalize(_builder: relax.BlockBuilder, _call: Call) -> Expr:
    raise OperatorError(f"{NAME} is for regions alone; partition the module again")


_OP = register_op(NAME, "Vectors moved, which stay where they are.", _infer_type, _legalize)
