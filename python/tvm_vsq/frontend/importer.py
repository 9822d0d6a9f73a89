"""Chooses the importer for a model by its type."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from tvm_vsq.errors import ModelError
from tvm_vsq.frontend.canonical import canonicalize
from tvm_vsq.frontend.from_relax import from_relax
from tvm_vsq.frontend.quantized import refuse_quantized
from tvm_vsq.frontend.source import Source
from tvm_vsq.threads import compiling
from tvm_vsq.tvm_compat import IRModule


@compiling
def import_model(model: Any, example_inputs: Any | Sequence[Any] | None = None) -> IRModule:
    """The canonical fp32 inference graph of `model`, unchecked (`importing.import_checked` checks it).

    model: a torch.nn.Module (with example_inputs; it is copied and put into eval mode, never changed), a
        torch.export.ExportedProgram, an onnx.ModelProto or the path of an .onnx file, or a Relax IRModule
        with the single function "main".
    example_inputs: for a torch.nn.Module, the tensor or the tuple of tensors it is called with, or a mapping
        of them by the names of forward's arguments (what a tokenizer gives); their shapes and dtypes become
        the shapes and dtypes of the compiled network. For an ONNX model with dynamic axes, arrays or tensors
        whose shapes fix them. Half precision becomes float32, of models, too.

    The result has one function "main": its parameters are the user's inputs (static shapes; float32, int64,
    int32 or bool), weights are constants, batch norm is folded, convolutions are NHWC with OHWI weights,
    norms, softmax and attention have one form, and the result is a tensor or a tuple of tensors in the user's
    own layout. `network.layer_names` reads the names of its layers.

    Raises ModelError naming the parameter, input or layer at fault, or for a model that is quantized already.
    """
    return canonicalize(convert(model, example_inputs)[0])


def convert(model: Any, example_inputs: Any | Sequence[Any] | None = None) -> tuple[IRModule, Source | None]:
    """`model` in Relax, before the canonical form, and what to check it against (None for Relax itself)."""
    refuse_quantized(model)
    if isinstance(model, IRModule):
        return from_relax(model), None
    torch_importer = _torch_importer(model)
    if torch_importer is not None:
        with warnings.catch_warnings():
            # torch warns about its own internals, which no user of ours can change
            warnings.simplefilter("ignore", FutureWarning)
            return torch_importer(model, example_inputs)  # type: ignore[no-any-return]
    if _is_onnx(model):
        from tvm_vsq.frontend.from_onnx import from_onnx

        return from_onnx(model, example_inputs)
    if isinstance(model, str | os.PathLike):
        raise ModelError(f"cannot import '{os.fspath(model)}': only a path of an ONNX model (.onnx) is taken")
    raise ModelError(
        f"cannot import a {type(model).__module__}.{type(model).__qualname__}; give a torch.nn.Module with "
        f"example_inputs, a torch.export.ExportedProgram, an ONNX model or the path of one (.onnx), or a "
        f"Relax IRModule"
    )


def _torch_importer(model: Any) -> Any:
    # torch takes seconds to import: only a caller who has it loaded can hold one of its objects
    if "torch" not in sys.modules:
        return None
    from tvm_vsq.frontend.from_torch import from_exported_program, from_module, is_exported_program, is_module

    if is_module(model):
        return from_module
    return from_exported_program if is_exported_program(model) else None


def _is_onnx(model: Any) -> bool:
    # like torch: only who has onnx loaded can hold a model of it
    if isinstance(model, str | os.PathLike):
        return os.fspath(model).endswith(".onnx")
    return "onnx" in sys.modules and isinstance(model, sys.modules["onnx"].ModelProto)
