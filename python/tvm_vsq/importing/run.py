"""Runs Relax graphs: through torch, and through TVM what torch cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import tvm
from torch.utils._pytree import tree_leaves
from tvm import relax

from tvm_vsq.frontend.source import Array
from tvm_vsq.torch_graph import TorchGraph
from tvm_vsq.tvm_compat import IRModule, Var


def results_of(module: IRModule, inputs: Sequence[Array]) -> list[Array]:
    """What "main" returns for `inputs`, one array for each parameter, as a flat list."""
    try:
        with torch.no_grad():
            results = TorchGraph(module["main"])(*(torch.from_numpy(array) for array in inputs))
    except Exception:  # torch has no form of an operator, or of a TIR function
        return _through_tvm(module, inputs)
    return [tensor.numpy() for tensor in tree_leaves(results)]


def recomputed(module: IRModule, result: Var, operands: dict[Var, Array]) -> Array | None:
    """`result`, a variable of "main", from the values of others; None if torch cannot compute it."""
    unread = [None] * len(module["main"].params)
    try:
        with torch.no_grad():
            graph = TorchGraph(module["main"], [result], inputs=list(operands))
            (value,) = graph(*unread, *(torch.from_numpy(array) for array in operands.values()))
    except Exception:  # as above; parameters are among the operands where they are read
        return None
    return np.asarray(value.numpy())


def _through_tvm(module: IRModule, inputs: Sequence[Array]) -> list[Array]:
    machine = relax.VirtualMachine(tvm.compile(module, target="llvm"), tvm.cpu())
    results = machine["main"](*(tvm.runtime.tensor(np.array(array, order="C")) for array in inputs))
    return list(_flat(results))


def _flat(results: Any) -> Iterator[Array]:
    if hasattr(results, "numpy"):
        yield np.asarray(results.numpy())
    else:
        for result in results:
            yield from _flat(result)
