"""Builds and runs one operator call on TVM's CPU path."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.ir import Call, IRModule


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
    """run(build, *arrays): the same module, legalized to TIR, built for the CPU and called."""

    def call(build: Callable[..., Call], *arrays: np.ndarray) -> np.ndarray:
        machine = relax.VirtualMachine(relax.build(_module(build, *arrays), "llvm"), tvm.cpu())
        tensors = [tvm.runtime.tensor(np.array(array, order="C")) for array in arrays]
        return machine["main"](*tensors).numpy()

    return call
