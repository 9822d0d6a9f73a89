"""Models of torch and ONNX in the canonical form, compared with who computes them elsewhere."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from tests.networks import run_tvm
from torch import nn
from tvm.ir import IRModule

from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, op_name

MOVES = {"concat", "reshape", "strided_slice", "take"}
"""What moves elements and computes nothing."""

LAYERS = {"nn.conv2d", "nn.max_pool2d", "nn.avg_pool2d", "add", "matmul", "nn.relu", "clip"}
AT_THE_ENDS = {"permute_dims"}


def operators(module: IRModule) -> list[str]:
    """Those of "main" in order, without "relax."."""
    names = [op_name(binding.value) for binding in bindings(module["main"])]
    return [name.removeprefix("relax.") for name in names if name]


def between(module: IRModule) -> list[str]:
    """The operators without the layout changes of the inputs, in front, and of the results, behind."""
    found = operators(module)
    while found and found[0] in {*AT_THE_ENDS, "reshape"}:
        found.pop(0)
    while found and found[-1] in {*AT_THE_ENDS, "reshape"}:
        found.pop()
    return found


def imported(model: nn.Module, *inputs: torch.Tensor, tolerance: float = 2e-5) -> IRModule:
    """The canonical form of `model`, which computes on `inputs` what torch does.

    tolerance: relative to the largest result.
    """
    module = import_model(model.eval(), inputs)
    with torch.no_grad():
        results = model(*inputs)
    expected = [results] if isinstance(results, torch.Tensor) else list(results)
    _compare(run_tvm(module, *inputs), [tensor.numpy() for tensor in expected], tolerance)
    return module


def through_onnx(model: nn.Module | onnx.ModelProto, *inputs: torch.Tensor) -> IRModule:
    """The canonical form of an ONNX model, or of a module that torch exports, which computes what ONNX
    Runtime does."""
    if isinstance(model, nn.Module):
        buffer = io.BytesIO()
        torch.onnx.export(model.eval(), inputs, buffer, dynamo=False, opset_version=17)
        model = onnx.load_from_string(buffer.getvalue())
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    arrays = [tensor.numpy() for tensor in inputs]
    names = [each.name for each in session.get_inputs()]
    expected = session.run(None, dict(zip(names, arrays, strict=True)))
    module = import_model(model)
    _compare(run_tvm(module, *arrays), expected, 2e-5)
    return module


def _compare(found: list[Any], expected: list[Any], tolerance: float) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(np.abs(theirs).max(), 1e-3))


def randomized(model: nn.Module, seed: int = 0) -> nn.Module:
    """`model` with statistics of batch norm as a trained one has them."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.5, 1.5),
                (module.bias, -1, 1),
                (module.running_mean, -1, 1),
                (module.running_var, 0.5, 2),
            ):
                tensor.data.uniform_(low, high, generator=generator)
    return model
