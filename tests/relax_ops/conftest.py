"""Builds and runs one operator call on TVM's CPU path."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import tvm
from tvm import relax
from tvm.ir import Call, IRModule

from tvm_vsq.torch_graph import TorchGraph


def _module(build: Callable[..., Call], *arrays: np.ndarray) -> IRModule:
    builder = relax.BlockBuilder()
    parameters = [
        relax.Var(f"a{i}", relax.TensorType(list(array.shape), str(array.dtype)))
        for i, array in enumerate(arrays)
    ]
    with builder.function("main", parameters):
        with builder.dataflow():
            result = builder.emit_output(builder.emit(build(*parameters)))
        builder.emit_func_output(result)
    return builder.get()


@pytest.fixture
def module() -> Callable[..., IRModule]:
    """module(build, *arrays): a function of parameters like the arrays, whose body is build(*parameters)."""
    return _module


@pytest.fixture
def run() -> Callable[..., np.ndarray]:
    """run(build, *arrays): the same module, legalized to TIR, built for the CPU and called.

    The module's torch form has to give the same bits.
    """

    def call(build: Callable[..., Call], *arrays: np.ndarray) -> np.ndarray:
        module, copies = _module(build, *arrays), [np.array(array, order="C") for array in arrays]
        machine = relax.VirtualMachine(relax.build(module, "llvm"), tvm.cpu())
        result = machine["main"](*map(tvm.runtime.tensor, copies)).numpy()
        in_torch = TorchGraph(module["main"])(*map(torch.from_numpy, copies)).numpy()
        assert in_torch.dtype == result.dtype
        np.testing.assert_array_equal(in_torch, result)
        return result

    return call
