"""The weights and biases of a quantized module that training changes, and the module with new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.formats import VectorFormat
from tvm_vsq.graph import (
    Rebuilder,
    bindings,
    constant,
    constant_array,
    count_uses,
    is_constant,
    leaves,
    op_name,
    replace_main,
)
from tvm_vsq.layers.reader import read_nodes
from tvm_vsq.numerics import quantize_weights
from tvm_vsq.tvm_compat import Call, GenericConst, IRModule, Var


@dataclass(frozen=True)
class TrainableLayer:
    """A quantized layer of a module from `quantize.quantize`.

    kernel: the variable that stands for its restored weights, in `format`. bias: the first constant that is
    added to its result, in the binding of `added`; both None if there is none.
    """

    name: str
    kernel: Var
    format: VectorFormat
    added: Var | None
    bias: GenericConst | None


def trainable_layers(module: IRModule) -> list[TrainableLayer]:
    """The quantized layers of `module`, depthwise ones included, in program order."""
    function = module["main"]
    uses = count_uses(function)
    readers = {leaf: b for b in bindings(function) for leaf in leaves(b.value) if isinstance(leaf, Var)}
    layers = []
    for node in read_nodes(module):
        if node.weights is None:
            continue
        add = readers.get(node.anchor) if uses[node.anchor] == 1 else None
        bias = _bias(add)
        added = None if add is None or bias is None else add.var
        layers.append(TrainableLayer(node.name, node.weights.kernel, node.weights.format, added, bias))
    return layers


def with_own_biases(module: IRModule) -> IRModule:
    """`module` with a bias constant for each layer, where layers of the model shared one."""
    biases = {
        layer.added: constant_array(layer.bias)
        for layer in trainable_layers(module)
        if layer.added is not None
    }
    return replace_main(module, _Replace(module["main"], {}, biases).run())


def _bias(reader: relax.VarBinding | None) -> GenericConst | None:
    """The constant in the add that reads a layer's result."""
    if reader is None or op_name(reader.value) != "relax.add":
        return None
    return next((arg for arg in reader.value.args if is_constant(arg)), None)


def with_parameters(
    module: IRModule, layers: list[TrainableLayer], values: Mapping[str, npt.NDArray[np.float32]]
) -> IRModule:
    """`module` with other `<layer>.weight`, float32 [K, ..., C], and `<layer>.bias`; all else is kept.

    Weights are quantized by maximum, elements against the rounded scale (`numerics.quantize_weights`).
    """
    kernels = {
        layer.kernel: quantize_weights(values[f"{layer.name}.weight"], layer.format)
        for layer in layers
        if f"{layer.name}.weight" in values
    }
    biases = {
        layer.added: values[f"{layer.name}.bias"]
        for layer in layers
        if layer.added is not None and f"{layer.name}.bias" in values
    }
    return replace_main(module, _Replace(module["main"], kernels, biases).run())


class _Replace(Rebuilder):
    def __init__(
        self, function: relax.Function, kernels: Mapping[Var, Any], biases: Mapping[Var, Any]
    ) -> None:
        super().__init__(function)
        self._kernels, self._biases = kernels, biases

    def rewrite(self, var: Var, value: Any) -> Any:
        if var in self._kernels:
            return Call(value.op, [constant(array) for array in self._kernels[var]], value.attrs)
        if var in self._biases:
            bias = constant(self._biases[var])
            return Call(value.op, [bias if is_constant(arg) else arg for arg in value.args], value.attrs)
        return value
