"""A straight-line Relax function as a torch module."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from tvm import relax

from tvm_vsq.graph import bindings, constant_array, definitions, is_constant, leaves
from tvm_vsq.torch_graph.fallback import tvm_operator
from tvm_vsq.torch_graph.operators import torch_operator
from tvm_vsq.tvm_compat import Call, Tuple, Var

Values = dict[Any, Any]
Read = Callable[[Values], Any]


@dataclass(frozen=True)
class _Step:
    """One binding. `last_uses` are the variables that nothing reads after it."""

    var: Var
    run: Read
    last_uses: tuple[Var, ...]


class TorchGraph(nn.Module):
    """Runs a straight-line Relax function (see `tvm_vsq.graph`) in PyTorch, with gradients.

    function: constants become buffers, which no state_dict holds.
    results: variables of `function` to return, as a tuple, instead of its own result; what none of them
        needs is not computed.
    inputs: variables and constants of `function` that `forward` takes after its parameters, instead of
        computing them or holding them as buffers.
    operands: for the variable of a binding, a function from its call's tensors to those to take instead.
    straight_through: vsq.quantize and vsq.dequantize with gradients, for training.

    An operator that has no torch form here runs through TVM on the CPU, and refuses a backward pass.
    Floating-point results agree with TVM's but for the order of sums.
    """

    def __init__(
        self,
        function: relax.Function,
        results: Sequence[Var] | None = None,
        *,
        inputs: Sequence[Any] = (),
        operands: Mapping[Var, Callable[..., Sequence[torch.Tensor]]] | None = None,
        straight_through: bool = False,
    ) -> None:
        super().__init__()
        self._inputs = [*function.params, *inputs]
        self._definitions = definitions(function)
        self._changes = operands or {}
        self._straight_through = straight_through
        self._result = self._reader(function.body.body if results is None else Tuple(list(results)))
        needed = set(leaves(function.body.body) if results is None else results)
        steps = []
        for binding in reversed(list(bindings(function))):
            if binding.var not in needed or binding.var in self._inputs:
                continue
            reads = [leaf for leaf in leaves(binding.value) if isinstance(leaf, Var)]
            last_uses = tuple(dict.fromkeys(var for var in reads if var not in needed))
            steps.append(_Step(binding.var, self._runner(binding), last_uses))
            needed.update(reads)
        self._steps = steps[::-1]

    def forward(self, *inputs: torch.Tensor) -> Any:
        """The function's result, a tensor or a tuple of tensors, for inputs of its shapes and dtypes."""
        values: Values = dict(zip(self._inputs, inputs, strict=True))
        for step in self._steps:
            values[step.var] = step.run(values)
            for var in step.last_uses:
                del values[var]
        return self._result(values)

    def walk(self, runs: Sequence[Sequence[torch.Tensor]]) -> Iterator[tuple[Var, list[Values]]]:
        """Several runs side by side, binding by binding, without gradients.

        runs: the inputs of each. Yields every variable before it is computed, and what each run holds by
        then, which may be replaced.
        """
        states: list[Values] = [dict(zip(self._inputs, inputs, strict=True)) for inputs in runs]
        for step in self._steps:
            yield step.var, states
            with torch.no_grad():
                for values in states:
                    values[step.var] = step.run(values)
                    for var in step.last_uses:
                        del values[var]

    @property
    def most_values(self) -> int:
        """Elements that a run holds at most."""
        held: dict[Any, int] = {var: _size(var) for var in self._inputs}
        most = sum(held.values())
        for step in self._steps:
            held[step.var] = _size(step.var)
            most = max(most, sum(held.values()))
            for var in step.last_uses:
                held.pop(var, None)
        return most

    def _runner(self, binding: relax.VarBinding) -> Read:
        value = binding.value
        if not isinstance(value, Call):
            return self._reader(value)
        found = torch_operator(value, self._definitions, self._straight_through)
        operator, arguments = found or tvm_operator(value)
        readers = [self._reader(argument) for argument in arguments]
        if binding.var in self._changes:
            change = self._changes[binding.var]
            return lambda values: operator(*change(*(read(values) for read in readers)))
        return lambda values: operator(*(read(values) for read in readers))

    def _reader(self, expr: Any) -> Read:
        """How to get an operand: a tensor, a tuple of such, a shape, or a number."""
        if isinstance(expr, Var) or (is_constant(expr) and expr in self._inputs):
            return lambda values: values[expr]
        if is_constant(expr):
            name = f"constant_{len(self._buffers)}"
            self.register_buffer(name, torch.from_numpy(constant_array(expr)), persistent=False)
            return lambda _values: self._buffers[name]
        if isinstance(expr, Tuple):
            fields = [self._reader(field) for field in expr.fields]
            return lambda values: tuple(read(values) for read in fields)
        if isinstance(expr, relax.TupleGetItem):
            source, index = self._reader(expr.tuple_value), int(expr.index)
            return lambda values: source(values)[index]
        literal = [int(extent) for extent in expr] if isinstance(expr, relax.ShapeExpr) else expr.value
        return lambda _values: literal


def _size(var: Any) -> int:
    """Elements of a tensor, or of all tensors of a tuple."""
    types = var.ty.fields if isinstance(var.ty, relax.TupleType) else [var.ty]
    return sum(math.prod(int(extent) for extent in each.shape) for each in types)
