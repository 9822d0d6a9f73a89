"""A torch module or exported program, run by torch."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from functools import cached_property
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.utils._pytree import TreeSpec, tree_leaves, tree_unflatten

from tvm_vsq.errors import ModelError
from tvm_vsq.frontend.source import Array, Opened, Value
from tvm_vsq.tvm_compat import IRModule


class TorchSource:
    """See `source.Source`.

    model: a module in eval mode that nobody else runs, or None for `program` itself. convert: from an
    exported program to Relax.
    """

    def __init__(
        self,
        title: str,
        model: torch.nn.Module | None,
        program: ExportedProgram,
        examples: tuple[Array, ...] | None,
        convert: Callable[[ExportedProgram], IRModule],
    ) -> None:
        self.title, self.examples = title, examples
        self._model, self._program, self._convert = model, program, convert

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One inference; a second one if the first one wrote attributes of the module."""
        spec = self._program.call_spec.in_spec
        if self._model is None:
            return _call(self._program.module(), inputs, spec)
        before = _state(self._model)
        results = _without_nesting(self._model, inputs, spec)
        after = _state(self._model)
        written = [name for name in after if after[name] != before.get(name)]
        if written and not _same(results, _without_nesting(self._model, inputs, spec)):
            raise ModelError(
                f"the results of {self.title} change from call to call: its forward writes "
                f"{', '.join(repr(name) for name in written)}; pass the state in as an input and return it"
            )
        return results

    def opened(self) -> Opened:
        """Exported anew, with the tensor of every node as a result."""
        examples = tuple(_tensor(array) for array in self._sample)
        with torch.no_grad():
            program = torch.export.export(self._inner, examples)
        return Opened(self._convert(program), tuple(_value(node) for node in self._nodes))

    def inside(self, inputs: Sequence[Array]) -> list[Array]:
        """One inference of the exported program, which keeps every tensor."""
        return _call(self._inner, inputs)

    @cached_property
    def _inner(self) -> torch.fx.GraphModule:
        # operators in place would change a tensor after it was seen
        module = self._program.run_decompositions({}).module(check_guards=False)
        nodes = [node for node in module.graph.nodes if _is_tensor(node) and node.op == "call_function"]
        (output,) = module.graph.find_nodes(op="output")
        output.args = (tuple(nodes),)
        module.graph._codegen = torch.fx.graph.CodeGen()  # the program's own knows its former results
        module.recompile()
        return module  # type: ignore[no-any-return]

    @property
    def _nodes(self) -> list[torch.fx.Node]:
        (output,) = self._inner.graph.find_nodes(op="output")
        return list(output.args[0])

    @property
    def _sample(self) -> list[Array]:
        placeholders = self._inner.graph.find_nodes(op="placeholder")
        examples = [node.meta["val"] for node in placeholders]
        return [torch.zeros([int(n) for n in each.shape], dtype=each.dtype).numpy() for each in examples]


def fresh_copy(model: torch.nn.Module) -> torch.nn.Module:
    """A copy of `model` to run, which shares its parameters."""
    return copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})


def _without_nesting(model: torch.nn.Module, inputs: Sequence[Array], spec: TreeSpec) -> list[Array]:
    """As the model is exported: nn.TransformerEncoder may leave hidden rows out, and give zeros there."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        return _call(model, inputs, spec)
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def _call(model: Any, inputs: Sequence[Array], spec: TreeSpec | None = None) -> list[Array]:
    """spec: of the arguments, positional ones and those with names; None: all are positional."""
    # an operator in place must not change the caller's array
    tensors = [_tensor(array) for array in inputs]
    args, kwargs = (tensors, {}) if spec is None else tree_unflatten(tensors, spec)
    with torch.no_grad():
        results = model(*args, **kwargs)
    return [_array(leaf.detach()) for leaf in tree_leaves(results) if isinstance(leaf, torch.Tensor)]


def _array(tensor: torch.Tensor) -> Array:
    if tensor.dtype in (torch.bfloat16, torch.complex32) or tensor.is_sparse:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise ModelError(f"a result of the model is {kind}, {tensor.layout}; let it return dense float32")
    return np.array(tensor.resolve_neg().resolve_conj().numpy())


def _tensor(array: Array) -> torch.Tensor:
    return torch.from_numpy(np.array(array, order="C"))


def _state(model: torch.nn.Module) -> dict[str, Any]:
    """What `forward` may have written, by name: identity and version of tensors, other values pickled.

    What cannot be pickled is another object each time, so that it counts as written, but for functions.
    """
    found: dict[str, Any] = {}
    for path, module in model.named_modules():
        own = {name: value for name, value in vars(module).items() if name not in _OF_TORCH}
        for name, value in (*own.items(), *module._buffers.items()):
            where = f"{path}.{name}" if path else name
            if isinstance(value, torch.Tensor):
                found[where] = (id(value), value._version)
            elif not isinstance(
                value, type | FunctionType | MethodType | BuiltinFunctionType | torch.nn.Module
            ):
                found[where] = _pickled(value)
    return found


_OF_TORCH = set(vars(torch.nn.Module()))


def _pickled(value: Any) -> Any:
    try:
        return pickle.dumps(value)
    except Exception:
        return object()


def _same(some: list[Array], others: list[Array]) -> bool:
    return len(some) == len(others) and all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(some, others, strict=True)
    )


def _is_tensor(node: torch.fx.Node) -> bool:
    return isinstance(node.meta.get("val"), torch.Tensor)


def _value(node: torch.fx.Node) -> Value:
    return Value(node.name, described(node), tuple(operand.name for operand in node.all_input_nodes))


def described(node: torch.fx.Node) -> str:
    """A node in words: its name, its operator, and the submodule it is in."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    path = str(stack[-1][0]).split("@")[0] if stack else ""
    return f"'{node.name}' ({node.target}{f' in {path!r}' if path else ''})"
