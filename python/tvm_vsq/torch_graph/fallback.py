"""Operators without a torch form, through TVM on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import tvm
from tvm import relax

from tvm_vsq.errors import ModelError
from tvm_vsq.graph import leaves, op_name, substitute
from tvm_vsq.tvm_compat import Call, Var


def tvm_operator(call: Call) -> tuple[Callable[..., Any], list[Any]]:
    """`call` compiled for "llvm", as a function of the variables that it reads; and these.

    A backward pass through it raises ModelError.
    """
    operands = [leaf for leaf in leaves(call) if isinstance(leaf, Var)]
    params = [relax.Var(f"x{index}", operand.ty) for index, operand in enumerate(operands)]
    builder = relax.BlockBuilder()
    with builder.function("main", params):
        # a variable that is read twice has two parameters, which get the same tensor
        builder.emit_func_output(builder.emit(substitute(call, dict(zip(operands, params, strict=True)))))
    machine = relax.VirtualMachine(relax.build(builder.get(), "llvm"), tvm.cpu())

    class _NoGradient(torch.autograd.Function):
        @staticmethod
        def forward(_ctx: Any, *inputs: torch.Tensor) -> Any:
            arrays = [np.ascontiguousarray(x.detach().numpy()) for x in inputs]
            results = machine["main"](*(tvm.runtime.tensor(array) for array in arrays))
            if hasattr(results, "numpy"):
                return torch.from_numpy(results.numpy())
            return tuple(torch.from_numpy(result.numpy()) for result in results)

        @staticmethod
        def backward(_ctx: Any, *_gradients: Any) -> Any:
            raise ModelError(
                f"{op_name(call)} has no torch form here and runs through TVM, which gives no gradients; "
                "train a model without it"
            )

    return (lambda *inputs: _NoGradient.apply(*inputs)), operands  # type: ignore[no-untyped-call]
