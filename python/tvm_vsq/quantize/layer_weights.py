"""The integer weights of each layer, by the method that its settings name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.frontend.given import given_weights
from tvm_vsq.graph import constant_array, definitions, op_name
from tvm_vsq.numerics import quantize_weights
from tvm_vsq.quantize.given_weights import take_given
from tvm_vsq.quantize.plan import Plan, QuantizedLayer
from tvm_vsq.quantize.weight_search import search_weights
from tvm_vsq.tvm_compat import IRModule


@dataclass(frozen=True)
class LayerWeights:
    """vectors: int16[K, R, S, CV, V+1], or [K, CV, V+1] of a dense layer. gamma: float32[K]."""

    vectors: npt.NDArray[np.int16]
    gamma: npt.NDArray[np.float32]


def float_weights(module: IRModule, layer: QuantizedLayer) -> npt.NDArray[Any]:
    """The weights of a layer of the canonical module, as [K, R, S, C], or [K, C] of a dense layer."""
    call: Any = definitions(module["main"])[layer.chain.anchor]
    weights = constant_array(call.args[1])
    return weights if op_name(call) == "relax.nn.conv2d" else weights.T


def choose_weights(module: IRModule, plan: Plan) -> dict[str, LayerWeights]:
    """The weights of every layer of `plan`, by name; integers that came with the model where they fit."""
    given = given_weights(module)
    chosen = {}
    for layer in plan.layers:
        weights, integers = float_weights(module, layer), given.get(layer.name)
        taken = integers and take_given(integers, weights, layer.formats.weight, layer.name)
        chosen[layer.name] = LayerWeights(*taken) if taken else _choose(weights, layer)
    return chosen


def _choose(weights: npt.NDArray[Any], layer: QuantizedLayer) -> LayerWeights:
    config, fmt = layer.config, layer.formats.weight
    if config.weight_calibration == "mse":
        return LayerWeights(*search_weights(weights, fmt))
    return LayerWeights(*quantize_weights(weights, fmt, config.weight_order))
