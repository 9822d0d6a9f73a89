"""Torch models in half precision, as fp32 models of the same numbers."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.utils._pytree import tree_map, tree_unflatten

from tvm_vsq.frontend.torch_inputs import HALVES


def is_half(model: torch.nn.Module | ExportedProgram) -> bool:
    """Whether parameters, buffers or, of a program, inputs are float16 or bfloat16."""
    if isinstance(model, ExportedProgram):
        inputs = [node.meta.get("val") for node in model.graph.nodes if node.op == "placeholder"]
        return any(isinstance(value, torch.Tensor) and value.dtype in HALVES for value in inputs)
    return any(tensor.dtype in HALVES for tensor in (*model.parameters(), *model.buffers()))


def in_float32(model: torch.nn.Module) -> torch.nn.Module:
    """`model` itself with each half-precision parameter and buffer as float32; others as they are."""
    convert: Any = model._apply
    convert(lambda tensor: tensor.float() if tensor.dtype in HALVES else tensor)
    return model


def program_in_float32(program: ExportedProgram) -> ExportedProgram:
    """`program`, exported anew, with its half-precision weights, inputs and casts in float32."""
    signature, values = program.graph_signature, {n.name: n.meta.get("val") for n in program.graph.nodes}
    leaves = [_like(values[str(name)]) for name in signature.user_inputs]
    args, kwargs = tree_unflatten(leaves, program.call_spec.in_spec)
    module: Any = in_float32(copy.deepcopy(program.module(check_guards=False)))  # its weights are the user's
    for node in list(module.graph.nodes):
        node.args, node.kwargs = tree_map(_wider, node.args), tree_map(_wider, node.kwargs)
        if node.target is torch.ops.aten._assert_tensor_metadata.default:
            module.graph.erase_node(node)
    for holder in module.modules():
        for name, value in list(vars(holder).items()):  # constants that were lifted
            if isinstance(value, torch.Tensor) and value.dtype in HALVES:
                setattr(holder, name, value.float())
    module.recompile()
    with torch.no_grad():
        return torch.export.export(module, args, kwargs)


def _like(value: Any) -> Any:
    """Zeros of the shape of a tensor in a graph; other inputs as they are."""
    if not isinstance(value, torch.Tensor):
        return value
    return torch.zeros(tuple(value.shape), dtype=torch.float32 if value.dtype in HALVES else value.dtype)


def _wider(value: Any) -> Any:
    return torch.float32 if value in HALVES and isinstance(value, torch.dtype) else value
