"""The one reader of fake-quantized graphs: every stage takes the `Node` of a layer from here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.errors import QuantizationError
from tvm_vsq.formats import QUANTIZED, WEIGHTS, LayerFormats, VectorFormat
from tvm_vsq.graph import bindings, constant_array, count_uses, definitions, is_constant, op_name
from tvm_vsq.layers.arithmetic import passes_of
from tvm_vsq.layers.chains import Chain, find_chains
from tvm_vsq.layers.closed_rows import closed_rows
from tvm_vsq.layers.node import Node, RowNode, Vectors, Weights
from tvm_vsq.layers.on_cpu import layers_on_cpu
from tvm_vsq.layers.ranges import argument_ranges, output_ranges
from tvm_vsq.layers.rows import row_total, rows_read
from tvm_vsq.layers.second_operand import before_transposition
from tvm_vsq.network import layer_names, operator_of, source_of
from tvm_vsq.numerics import inverse_step
from tvm_vsq.placement.moves import move_of, moved_operands
from tvm_vsq.tvm_compat import IRModule, Var


def read_nodes(module: IRModule, weight: VectorFormat | None = None) -> list[Node]:
    """The layers of `module` that read vectors, in program order; what cannot be read that way is left out.

    weight: the format of weights of which the module does not say it.
    Raises QuantizationError where a vsq.quantize and its vsq.dequantize disagree.
    """
    return _Reader(module, weight).nodes()


def read_row_nodes(module: IRModule, weight: VectorFormat | None = None) -> list[RowNode]:
    """The layers of `module` on whole rows of numbers, in program order: those of which it knows the ranges.

    Raises QuantizationError as `read_nodes`.
    """
    return _Reader(module, weight).row_nodes()


class _Reader:
    def __init__(self, module: IRModule, weight: VectorFormat | None) -> None:
        self._function: relax.Function = module["main"]
        on_cpu = layers_on_cpu(module)
        self._names = {var: name for var, name in layer_names(module).items() if name not in on_cpu}
        self._ranges, self._arguments = output_ranges(module), argument_ranges(module)
        self._weight, self._passes, self._closed = weight, passes_of(module), closed_rows(module)
        self._values: dict[Any, Any] = dict(definitions(self._function))
        self._sources = {var: found for var in self._names if (found := source_of(self._values[var]))}
        self._uses = count_uses(self._function)
        self._quantize_of: dict[Var, Var] = {}  # by the tensor that is quantized
        self._dequantize_of: dict[Var, Var] = {}  # by the vectors
        self._moved: dict[Var, Vectors | None] = {}
        for binding in bindings(self._function):
            name = op_name(binding.value)
            if name == "vsq.quantize":
                self._quantize_of[binding.value.args[0]] = binding.var
            elif name == "vsq.dequantize":
                self._dequantize_of[binding.value.args[0]] = binding.var

    def nodes(self) -> list[Node]:
        layers = [var for var in self._names if self._is_quantized(var)]
        fusable = [var for var in layers if not self._sources[var].refusal(self._values[var], True)]
        chains = find_chains(self._function, fusable, lambda other: self._vectors(other) is not None)
        alone = {var: Chain.of(var) for var in layers if var not in set(fusable)}
        return [self._node(var, chain) for var in layers if (chain := {**chains, **alone}.get(var))]

    def row_nodes(self) -> list[RowNode]:
        chains = [node.chain for node in self.nodes()]
        made, guarded = {chain.output for chain in chains}, {chain.guarded for chain in chains}
        return [
            self._row_node(var, made, var in guarded or self._names[var] in self._closed)
            for var in self._names
            if (found := self._sources.get(var)) is not None
            and found.rows is not None
            and not found.refusal(self._values[var], False)
            and self._names[var] in self._ranges
            and self._names[var] in self._arguments
        ]

    def _row_node(self, anchor: Var, made: set[Any], is_guarded: bool) -> RowNode:
        call, name = self._values[anchor], self._names[anchor]
        x, added = rows_read(self._function, call, made)
        form: Any = self._sources[anchor].rows
        return RowNode(
            name=name,
            operator=operator_of(call),
            call=call,
            anchor=anchor,
            x=x,
            added=added,
            total=call.args[0],
            output=self._stored(anchor),
            output_absmax=self._ranges.get(name),
            absmax=self._arguments[name],
            is_guarded=is_guarded,
            turns=None if form.turns is None else call.args[form.turns],
        )

    def _stored(self, result: Var) -> Vectors | None:
        """The vectors that a result is quantized to, where nothing else reads it."""
        quantized = self._quantize_of.get(result)
        restored = self._dequantize_of.get(quantized) if quantized is not None else None
        return self._vectors(restored) if self._uses[result] == 1 and restored is not None else None

    def _is_quantized(self, anchor: Var) -> bool:
        """Whether all its operands are vectors."""
        call, source = self._values[anchor], self._sources[anchor]
        if source.rows is not None:
            return False
        if self._vectors(call.args[0]) is None:
            return False
        if source.residual is not None and self._vectors(call.args[source.residual]) is None:
            return False
        if source.other is not None and self._other(anchor) is None:
            return False
        return source.weights is None or self._kernel(anchor) is not None

    def _vectors(self, expr: Any) -> Vectors | None:
        """The vectors that `expr` dequantizes, or moves, dequantized; None if it is something else."""
        call: Any = self._values.get(expr) if isinstance(expr, Var) else None
        if moved_operands(call) and source_of(call) is None:
            if expr not in self._moved:
                self._moved[expr] = self._moved_vectors(expr, call)
            return self._moved[expr]
        if op_name(call) != "vsq.dequantize" or not is_constant(call.args[1]):
            return None
        source: Any = self._values.get(call.args[0]) if isinstance(call.args[0], Var) else None
        gamma = constant_array(call.args[1])
        if op_name(source) != "vsq.quantize" or gamma.ndim:
            return None
        attrs = dict(source.attrs)
        guard_bits, inv = int(attrs["guard_bits"]), float(attrs["inv"])
        if np.float32(inv) != inverse_step(np.float32(gamma), guard_bits):
            raise QuantizationError(
                f"'{expr.name}' restores with gamma={float(gamma)!r} what '{call.args[0].name}' quantized "
                f"with inv={inv!r}; inv must be 2^guard_bits / gamma"
            )
        scales = [int(scale) for scale in attrs.get("scales", ())]
        made_of, fmt = source.args[0], QUANTIZED.read(attrs)
        total = row_total(self._values.get(made_of))
        return Vectors(made_of, call.args[0], float(gamma), fmt, guard_bits, scales, total=total)

    def _moved_vectors(self, var: Var, call: Any) -> Vectors | None:
        parts = [self._vectors(operand) for operand in moved_operands(call)]
        vectors = [part for part in parts if part is not None]
        if len(vectors) < len(parts):
            return None
        first = vectors[0]
        move = move_of(call, first.format.vector_size)
        if move is None or any(part.unit != first.unit for part in vectors):
            return None
        scales = [scale for part in vectors for scale in part.scales]
        return Vectors(var, var, *first.unit, scales, move, tuple(vectors))

    def _kernel(self, anchor: Var) -> Var | None:
        """The variable that stands for the layer's restored constant weights; None if there is none."""
        kernel, form = self._values[anchor].args[1], self._sources[anchor].weights
        if form is not None and not form.is_direct:
            moved: Any = self._values.get(kernel) if isinstance(kernel, Var) else None
            expected, rank = ("relax.permute_dims", 2) if form.is_transposed else ("relax.reshape", 3)
            if op_name(moved) != expected or len(moved.args[0].ty.shape) != rank:
                return None
            kernel = moved.args[0]
        call: Any = self._values.get(kernel) if isinstance(kernel, Var) else None
        is_restored = op_name(call) == "vsq.dequantize" and all(map(is_constant, call.args))
        return kernel if is_restored and len(call.args[1].ty.shape) == 1 else None

    def _weights(self, anchor: Var) -> Weights | None:
        kernel = self._kernel(anchor) if self._sources[anchor].weights else None
        if kernel is None:
            return None
        call = self._values[kernel]
        attrs, vectors = dict(call.attrs), constant_array(call.args[0])
        built = WEIGHTS.write(self._weight) if self._weight is not None else {}
        fmt = WEIGHTS.read({**built, **attrs}, vectors.shape[-1] - 1)
        form: Any = self._sources[anchor].weights
        gamma, channels = constant_array(call.args[1]), int(attrs["channels"])
        return Weights(kernel, vectors, gamma, fmt, channels, form.along_taps)

    def _node(self, anchor: Var, chain: Chain) -> Node:
        call, name = self._values[anchor], self._names[anchor]
        x = self._vectors(call.args[0])
        if x is None:
            raise QuantizationError(f"layer '{name}' does not read vectors; quantize its input")
        output = self._stored(chain.output)
        if output is None and chain.transposed:  # only vectors are stored so: the host transposes numbers
            chain = replace(chain, transposed=False, output=self._values[chain.output].args[0])
        if output is not None and not self._can_give(output.format, x.format, anchor):
            output = None  # another layer's form: the result leaves as int32, the host quantizes it
        return Node(
            name=name,
            operator=operator_of(call),
            call=call,
            chain=chain,
            is_fusable=not self._sources[anchor].refusal(call, True),
            x=x,
            weights=self._weights(anchor),
            residual=None if chain.residual is None else self._vectors(chain.residual),
            output=output,
            output_absmax=self._ranges.get(name),
            other=self._other(anchor),
            argument_absmax=self._arguments.get(name),
        )

    def _can_give(self, output: VectorFormat, x: VectorFormat, anchor: Var) -> bool:
        """Whether a layer stores its result in this format: that of what it reads, or that of second
        operands; any, where the accelerator takes elements of several digits.
        """
        if output.with_sign(x.signed) == x or self._passes > 1:
            return True
        weights = self._weights(anchor)
        weight = weights.format if weights is not None else self._weight
        return weight is not None and output == LayerFormats.of(weight, x, None).second

    def _other(self, anchor: Var) -> Vectors | None:
        source = self._sources[anchor]
        if source.other is None:
            return None
        operand = self._values[anchor].args[source.other]
        return self._vectors(
            before_transposition(operand, self._values) if source.other_is_transposed else operand
        )
