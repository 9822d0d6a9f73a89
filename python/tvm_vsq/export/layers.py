"""The integer layers of a fake-quantized module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import ModelError
from tvm_vsq.formats import LayerFormats, VectorFormat
from tvm_vsq.frontend import as_quantized
from tvm_vsq.layers.chains import find_chains
from tvm_vsq.layers.node import Node, Weights
from tvm_vsq.layers.reader import read_nodes
from tvm_vsq.numerics import dequantize
from tvm_vsq.numerics.layout import join, split, split_channels
from tvm_vsq.tvm_compat import IRModule, Var


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
    nodes = [(node, node.weights) for node in read_nodes(module)]
    anchors = [node.anchor for node, weights in nodes if weights is not None]
    if not anchors:
        raise ModelError("the module holds no quantized layer; make it with tvm_vsq.quantize_model")
    # what is added to a layer's result after a residual is no bias of the layer
    chains = find_chains(module["main"], anchors, lambda _other: False)
    return {
        weights.kernel: _layer(node, weights, chains[node.anchor].bias.astype(np.float32))
        for node, weights in nodes
        if weights is not None
    }


def _layer(node: Node, weights: Weights, bias: npt.NDArray[np.float32]) -> IntegerLayer:
    elements, scales = split(weights.vectors)
    flat = elements.reshape(*elements.shape[:-2], -1)[..., : weights.channels]
    notation = LayerFormats.of(weights.format, node.x.format, None).notation
    gamma = weights.gamma
    return IntegerLayer(node.name, notation, weights.format, flat.astype(np.int8), scales, gamma, bias)
