"""PyTorch modules and exported programs, through TVM's importer."""

from __future__ import annotations

import copy
import io
import logging
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.utils._pytree import tree_leaves
from tvm.relax.frontend.torch import from_exported_program as tvm_from_exported_program

from tvm_vsq.errors import ModelError, first_line
from tvm_vsq.frontend.layers import bind_parameters
from tvm_vsq.frontend.torch_decompositions import decomposed
from tvm_vsq.frontend.torch_half import in_float32, is_half, program_in_float32
from tvm_vsq.frontend.torch_inputs import HALVES, call_of
from tvm_vsq.frontend.torch_source import TorchSource, described, fresh_copy
from tvm_vsq.network.inputs import DTYPES, INPUTS_ARE
from tvm_vsq.tvm_compat import IRModule

_CACHE = re.compile(r"<class '[\w.]*?(\w*Cache)'> in output")
"""In what torch says of one of transformers' caches among the results."""


def is_module(model: Any) -> bool:
    """Whether `model` is a torch.nn.Module."""
    return isinstance(model, torch.nn.Module)


def is_exported_program(model: Any) -> bool:
    """Whether `model` is a torch.export.ExportedProgram."""
    return isinstance(model, ExportedProgram)


def from_module(model: torch.nn.Module, example_inputs: Any) -> tuple[IRModule, TorchSource]:
    """Export an eval-mode copy of `model` at the shapes of `example_inputs` and import it."""
    title = f"torch module {type(model).__name__}"
    call = call_of(example_inputs, model)
    frozen = copy.deepcopy(model).eval()
    if is_half(frozen):
        frozen, title = in_float32(frozen), f"{title} in fp32"
    _check_tensors(dict(frozen.named_parameters()), dict(frozen.named_buffers()))
    to_run = fresh_copy(frozen)  # export leaves its own tensors in a module that writes attributes
    try:
        with torch.no_grad(), _quiet():
            program = torch.export.export(frozen, call.args, call.kwargs)
    except Exception as error:
        if cache := _CACHE.search(str(error)):
            raise ModelError(
                f"{type(model).__name__} returns the keys and values of its attention, too, in a "
                f"{cache.group(1)}, and a compiled network returns tensors alone: set model.config.use_cache "
                "= False, or call it with use_cache=False in a module of yours"
            ) from error
        raise ModelError(
            f"torch.export cannot export {type(model).__name__}: {first_line(error)}; check that the model "
            f"runs on example_inputs and has no data-dependent control flow"
        ) from error
    examples = tuple(np.array(tensor.detach().numpy()) for tensor in call.tensors)
    return _to_relax(program), TorchSource(title, to_run, program, examples, _to_relax)


def from_exported_program(
    program: ExportedProgram, example_inputs: Any = None
) -> tuple[IRModule, TorchSource]:
    """Import `program`; layers are named after the parameter that holds their weights.

    example_inputs: must have the shapes that the program was exported for.
    """
    title, arrays = "exported program", None
    _check_shapes(program, example_inputs)
    if example_inputs is None and program.example_inputs:
        tensors = [leaf for leaf in tree_leaves(program.example_inputs) if isinstance(leaf, torch.Tensor)]
        arrays = tuple(np.array((t.float() if t.dtype in HALVES else t).detach().numpy()) for t in tensors)
    if is_half(program):
        program, title = program_in_float32(program), f"{title} in fp32"
    return _to_relax(program), TorchSource(title, None, program, arrays, _to_relax)


def _check_shapes(program: ExportedProgram, example_inputs: Any) -> None:
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    names = [str(name) for name in program.graph_signature.user_inputs]
    given = [leaf for leaf in tree_leaves(example_inputs) if hasattr(leaf, "shape")]
    if given and len(given) != len(names):
        raise ModelError(
            f"example_inputs holds {len(given)} tensors, the exported program has {len(names)} inputs: "
            f"{', '.join(names)}"
        )
    if isinstance(example_inputs, Mapping):
        return  # its order is not the program's
    for position, (name, leaf) in enumerate(zip(names, given, strict=False)):
        shape = getattr(values[name], "shape", ())
        is_fixed = all(isinstance(extent, int) for extent in shape)
        if is_fixed and [*leaf.shape] != [*shape]:
            raise ModelError(
                f"example_inputs[{position}] has shape {[*leaf.shape]}, and input '{name}' was exported for "
                f"{[*shape]} (tvm-vsq: --shape); export the model at the shape that you want"
            )


def _to_relax(program: ExportedProgram) -> IRModule:
    signature = program.graph_signature
    _check_eval_mode(program)
    parameters = {name: program.state_dict[name] for name in signature.parameters}
    buffers = {name: program.state_dict[name] for name in signature.buffers if name in program.state_dict}
    _check_tensors(parameters, buffers)
    _check_inputs(program)
    _check_outputs(program)
    qualified = {
        spec.arg.name: str(spec.target) for spec in signature.input_specs if spec.kind is InputKind.PARAMETER
    }
    return bind_parameters(_through_tvm(program), qualified)


def _through_tvm(program: ExportedProgram) -> IRModule:
    with _quiet():
        program = decomposed(program)
    _check_state(program)
    try:
        return tvm_from_exported_program(
            program,
            keep_params_as_input=True,
            unwrap_unit_return_tuple=program.call_spec.out_spec.is_leaf(),
            run_ep_decomposition=False,
        )
    except Exception as error:
        raise ModelError(
            f"TVM's PyTorch importer does not take {_culprit(program, error)}: {first_line(error)}; replace "
            "this operator by others"
        ) from error


def _culprit(program: ExportedProgram, error: Exception) -> str:
    """The node at which TVM's importer gave up: it says which kinds it does not know, else it was at one."""
    for node in program.graph.nodes:
        if node.op == "call_function" and f"'{getattr(node.target, '__name__', '')}'" in str(error):
            return described(node)
    for frame, _line in reversed(list(traceback.walk_tb(error.__traceback__))):
        node = frame.f_locals.get("node")
        if isinstance(node, torch.fx.Node):
            return described(node)
    return "this model"


@contextmanager
def _quiet() -> Iterator[None]:
    """torch logs and prints what it raises, too."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _check_state(program: ExportedProgram) -> None:
    signature = program.graph_signature
    if written := [*signature.buffers_to_mutate.values(), *signature.parameters_to_mutate.values()]:
        raise ModelError(
            f"the model's forward writes {', '.join(repr(name) for name in written)}, and a compiled network "
            "keeps no state between calls; pass the state in as an input and return it"
        )
    if written := list(signature.user_inputs_to_mutate.values()):
        raise ModelError(
            f"the model's forward writes its input {', '.join(repr(name) for name in written)} in place; "
            "let it write a clone"
        )


def _check_tensors(parameters: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor]) -> None:
    for name, tensor in {**parameters, **buffers}.items():
        is_parameter = name in parameters
        if tensor.dtype != torch.float32 and (is_parameter or tensor.is_floating_point()):
            kind = "parameter" if is_parameter else "buffer"
            dtype = str(tensor.dtype).removeprefix("torch.")
            raise ModelError(
                f"{kind} '{name}' is {dtype}; weights must be float32 or half precision, call model.float() "
                "first"
            )
        # buffers may hold -inf on purpose (attention masks); parameters may not
        if (is_parameter and not torch.isfinite(tensor).all()) or torch.isnan(tensor).any():
            raise ModelError(f"'{name}' holds NaN or infinite values; load finite weights")


def _check_eval_mode(program: ExportedProgram) -> None:
    for node in program.graph.nodes:
        for position, argument in enumerate(getattr(getattr(node.target, "_schema", None), "arguments", ())):
            given = node.args[position] if position < len(node.args) else node.kwargs.get(argument.name)
            if argument.name in ("train", "training") and given is True:
                raise ModelError(
                    f"'{node.name}' was exported in training mode; call model.eval() before torch.export"
                )


def _check_inputs(program: ExportedProgram) -> None:
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    for name in program.graph_signature.user_inputs:
        value = values.get(str(name))
        if not isinstance(value, torch.Tensor):
            raise ModelError(
                f"input '{name}' is not a tensor; wrap the model so that its inputs are tensors only"
            )
        if any(not isinstance(extent, int) for extent in value.shape):
            raise ModelError(
                f"input '{name}' has a dynamic shape {tuple(value.shape)}; export without dynamic_shapes"
            )
        if min(value.shape, default=1) < 1:
            raise ModelError(f"input '{name}' has shape {list(value.shape)}; every extent must be at least 1")
        dtype = str(value.dtype).removeprefix("torch.")
        if dtype not in DTYPES:
            raise ModelError(f"input '{name}' is {dtype}; inputs must be {INPUTS_ARE}")


def _check_outputs(program: ExportedProgram) -> None:
    spec = program.call_spec.out_spec
    is_flat = spec.is_leaf() or (
        (spec.type in (tuple, list) or is_dataclass(spec.type))
        and all(child.is_leaf() for child in spec.children())
    )
    if any(output is None for output in program.graph_signature.user_outputs):
        raise ModelError("a result of the model is None; return tensors alone (wrap the module)")
    if not is_flat or not tree_leaves(program.graph_signature.user_outputs):
        raise ModelError(
            "the model must return a tensor or a tuple of tensors, or a dataclass of them, as transformers "
            "has (without a cache: use_cache=False); wrap it in a module that does"
        )
