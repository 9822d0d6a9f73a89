"""Relax functions of one output, written as expressions of their inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import IRModule

from tvm_vsq.graph import bindings, op_name


def function(body: Callable[..., Any], *shapes: tuple[int, ...]) -> IRModule:
    """A module whose "main" takes float32 tensors of these shapes and returns `body(emit, *inputs)`.

    `emit` binds an intermediate value.
    """
    inputs = [relax.Var(f"x{i}", relax.TensorType(shape, "float32")) for i, shape in enumerate(shapes)]
    builder = relax.BlockBuilder()
    with builder.function("main", inputs):
        with builder.dataflow():
            result = builder.emit_output(builder.normalize(body(builder.emit, *inputs)))
        builder.emit_func_output(result)
    return builder.get()


def inputs_of(module: IRModule, seed: int = 0) -> list[np.ndarray]:
    """Random arrays for its inputs, with both signs."""
    rng = np.random.default_rng(seed)
    shapes = [[int(extent) for extent in param.ty.shape] for param in module["main"].params]
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def after(
    rewrite: Callable[[IRModule], IRModule],
    module: IRModule,
    run: Callable[..., list[np.ndarray]],
    tolerance: float = 1e-5,
) -> list[str]:
    """The operators after `rewrite`, which must not change what `run` (networks.run_tvm) computes."""
    rewritten, inputs = rewrite(module), inputs_of(module)
    for result, expected in zip(run(rewritten, *inputs), run(module, *inputs), strict=True):
        np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance / 10)
    return operators(rewritten)


def operators(module: IRModule) -> list[str]:
    """Names of the operators that the result needs, in order, without "relax."."""
    needed = relax.transform.DeadCodeElimination()(module)
    names = [op_name(binding.value) for binding in bindings(needed["main"])]
    return [name.removeprefix("relax.") for name in names if name]
