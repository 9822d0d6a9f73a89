"""The integer layers of a fake-quantized module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import ModelError
from tvm_vsq.formats import QUANTIZED, WEIGHTS, VectorFormat, write_notation
from tvm_vsq.frontend import as_quantized
from tvm_vsq.graph import bindings, constant_array, definitions, is_constant, op_name
from tvm_vsq.layers.chains import find_chains
from tvm_vsq.numerics import dequantize
from tvm_vsq.numerics.layout import join, split, split_channels
from tvm_vsq.tvm_compat import Call, IRModule, Var


@dataclass(frozen=True)
class IntegerLayer:
    """Weights of one layer (docs/numerics.md, section 3.1): w = element * scale of its vector * gamma[k].

    notation: W/A/ws/as. elements: int8 [K, R, S, C] or [K, C]. scales: int64 [..., CV]. gamma, bias: float32
    [K].
    """

    name: str
    notation: str
    format: VectorFormat
    elements: npt.NDArray[np.int8]
    scales: npt.NDArray[np.int64]
    gamma: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    @property
    def vectors(self) -> npt.NDArray[np.int16]:
        """int16 [..., CV, V+1], as the operators take them."""
        return join(split_channels(self.elements, self.format), self.scales)

    def restored(self) -> npt.NDArray[np.float32]:
        """The weights they stand for, float32 of the shape of `elements`."""
        return dequantize(self.vectors, self.gamma, self.elements.shape[-1])


def exported_module(model: Any) -> IRModule:
    """The fake-quantized module that `model` is or holds; ModelError for one that is not quantized."""
    module = as_quantized(model)
    if module is None:
        raise ModelError(
            f"the {type(model).__name__} holds no quantized layer; make it with tvm_vsq.quantize_model or "
            f"tvm_vsq.fake_quantize"
        )
    return module


def quantized_layers(module: IRModule) -> dict[Var, IntegerLayer]:
    """Every quantized layer, by the variable of its weights' vsq.dequantize, in program order.

    Raises ModelError if there is none: the module must come from `quantize_model`.
    """
    function = module["main"]
    values: dict[Any, Any] = dict(definitions(function))
    anchors = {}
    for binding in bindings(function):
        if op_name(binding.value) in ("relax.nn.conv2d", "relax.matmul"):
            weights = binding.value.args[1]
            if op_name(values.get(weights)) == "relax.permute_dims":
                weights = values[weights].args[0]
            if op_name(values.get(weights)) == "vsq.dequantize" and is_constant(values[weights].args[0]):
                anchors[binding.var] = weights
    if not anchors:
        raise ModelError("the module holds no quantized layer; make it with tvm_vsq.quantize_model")
    chains = find_chains(function, list(anchors), lambda _other: False)
    found = {}
    for anchor, weights in anchors.items():
        source: Any = values.get(values[values[anchor].args[0]].args[0])
        bias = chains[anchor].bias.astype(np.float32)
        found[weights] = _layer(values[weights], dict(source.attrs), bias)
    return found


def _layer(call: Call, reads: dict[str, Any], bias: npt.NDArray[np.float32]) -> IntegerLayer:
    vectors, gamma = (constant_array(arg) for arg in call.args)
    attrs: Any = dict(call.attrs)
    fmt, read = WEIGHTS.read(attrs, vectors.shape[-1] - 1), QUANTIZED.read(reads)
    elements, scales = split(vectors)
    flat = elements.reshape(*elements.shape[:-2], -1)[..., : int(attrs["channels"])]
    notation = write_notation(fmt.bits, read.bits, fmt.scale_bits, read.scale_bits)
    return IntegerLayer(str(attrs["layer"]), notation, fmt, flat.astype(np.int8), scales, gamma, bias)
