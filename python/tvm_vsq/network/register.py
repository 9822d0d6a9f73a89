"""Registers an operator with TVM, once per process."""

from __future__ import annotations

from collections.abc import Callable

import tvm_ffi
from tvm import relax

from tvm_vsq.tvm_compat import Call, Expr, Op, register_op_attr

_VARIADIC = -1  # the residual is optional; type inference checks the count


def register_op(
    name: str,
    description: str,
    infer_type: Callable[[Call, relax.BlockBuilder], relax.TensorType],
    legalize: Callable[[relax.BlockBuilder, Call], Expr],
    printed: str = "",
) -> Op:
    """Return the operator `name`, registering it if TVM does not know it yet.

    TVM keeps operators for the life of the process and refuses to register a name or an attribute twice, so a
    second import (a notebook's autoreload, a test runner) finds the operator there and leaves it as it is.
    """
    if name in Op.list_op_names():
        return Op.get(name)
    tvm_ffi.get_global_func("ir.RegisterOp")(name, description)
    op = Op.get(name)
    op.set_num_inputs(_VARIADIC)
    register_op_attr(name, "FInferType", infer_type)
    register_op_attr(name, "FPurity", True)
    register_op_attr(name, "FLegalize", legalize)
    if printed:  # calls with attributes are spelled with these
        register_op_attr(name, "TScriptPrinterName", printed)
    return op
