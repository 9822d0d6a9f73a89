"""The integer weights of each layer, and what is added to its bias, by the methods that its settings name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tvm_vsq.errors import QuantizationError, phase
from tvm_vsq.frontend.given import given_weights
from tvm_vsq.graph import constant_array, definitions
from tvm_vsq.network import weight_form
from tvm_vsq.numerics import dequantize, quantize_weights
from tvm_vsq.progress import steps
from tvm_vsq.quantize.activations.encodings import Encoding
from tvm_vsq.quantize.plan import Plan, QuantizedLayer, Reading
from tvm_vsq.quantize.weights.aims import aims
from tvm_vsq.quantize.weights.given import take_given
from tvm_vsq.quantize.weights.in_sequence import InSequence
from tvm_vsq.quantize.weights.lanes import by_channels
from tvm_vsq.quantize.weights.moments import Moments
from tvm_vsq.quantize.weights.reconstruct import reconstruct
from tvm_vsq.quantize.weights.search import search_gamma, search_weights
from tvm_vsq.quantize.weights.second import Second
from tvm_vsq.quantize.weights.taps import fit_taps
from tvm_vsq.tvm_compat import IRModule

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class LayerWeights:
    """vectors: int16[K, R, S, CV, V+1], or [K, CV, V+1] of a dense layer. gamma: float32[K].

    bias_correction: float32[K], to be added to the layer's result; None if its settings ask for none.
    """

    vectors: npt.NDArray[np.int16]
    gamma: npt.NDArray[np.float32]
    bias_correction: npt.NDArray[np.float32] | None = None


def float_weights(module: IRModule, layer: QuantizedLayer) -> Array:
    """The weights of a layer of the canonical module, as [K, R, S, C], or [K, C] of a dense layer."""
    call: Any = definitions(module["main"])[layer.chain.anchor]
    return np.asarray(weight_form(call).rows(constant_array(call.args[1])))


def choose_weights(
    module: IRModule, plan: Plan, encodings: Mapping[Reading, Encoding], data: Any, guard_bits: int
) -> dict[str, LayerWeights]:
    """The weights of the layers of `plan`, by name; integers that came with the model where they fit.

    data: calibration data, which are looked at again as `InSequence.layers` says.
    """
    given = given_weights(module)
    chosen = {}
    network = InSequence(module, plan, encodings, data, guard_bits)
    count = sum(layer.has_weights for layer in plan.layers)
    for layer, seen in steps("choosing the weights of layers", network.layers(), count):
        weights, integers = float_weights(module, layer), given.get(layer.name)
        if integers and _reads_one_channel(module, layer):
            integers = integers.along_rows()
        correction = None  # a model that brings its integers brings the bias that belongs to them
        with phase(f"choosing the integer weights of layer '{layer.name}'", QuantizationError):
            taken = integers and take_given(integers, weights, layer.formats.weight, layer.name)
            vectors, gamma = taken or _choose(weights, layer, seen)
            if layer.config.bias_correction and seen is not None and not taken:
                correction = bias_correction(weights, vectors, gamma, seen)
        chosen[layer.name] = LayerWeights(vectors, gamma, correction)
        network.settle(layer, vectors, gamma, correction)
    return chosen


def _reads_one_channel(module: IRModule, layer: QuantizedLayer) -> bool:
    """Whether its vectors run along taps."""
    return weight_form(definitions(module["main"])[layer.chain.anchor]).along_taps


def _choose(weights: Array, layer: QuantizedLayer, moments: Moments | None) -> tuple[Array, Array]:
    """Vectors and gamma."""
    if moments is None:
        return _quantize(weights, layer, None)
    weights = aims(weights, moments)
    if len(moments.second) == len(weights) > 1:
        second = torch.stack([each.matrix() for each in moments.second])
        return fit_taps(weights, second, layer.formats.weight, layer.config)
    # Output channels of different groups read different inputs.
    groups = np.split(weights, len(moments.second))
    parts = [_quantize(w, layer, second) for w, second in zip(groups, moments.second, strict=True)]
    vectors, gamma = (np.concatenate(side) for side in zip(*parts, strict=True))
    return vectors, gamma


def _quantize(weights: Array, layer: QuantizedLayer, second: Second | None) -> tuple[Array, Array]:
    """second: only if the layer's settings use it."""
    config, fmt = layer.config, layer.formats.weight
    by_output = config.weight_calibration == "output"
    if second is not None and by_output and config.weight_rounding == "gptq":
        gamma = search_gamma(weights, fmt, second)
        return reconstruct(weights, second, gamma, None, fmt), gamma
    if config.weight_calibration == "max":
        parts = [
            quantize_weights(weights[part], fmt, config.weight_order) for part in by_channels(weights.shape)
        ]
        vectors, gamma = (np.concatenate(side) for side in zip(*parts, strict=True))
    else:
        vectors, gamma = search_weights(weights, fmt, second if by_output else None)
    if second is None or config.weight_rounding == "nearest":
        return vectors, gamma
    return reconstruct(weights, second, gamma, vectors[..., -1], fmt), gamma


def bias_correction(
    weights: Array, vectors: Array, gamma: Array, moments: Moments
) -> npt.NDArray[np.float32]:
    """float32[K]: what quantization takes away from the mean of each output channel on the calibration data.

    The mean of W x less that of the quantized W times the quantized x (Nagel et al., "Data-Free Quantization
    Through Weight Equalization and Bias Correction", ICCV 2019, section 4.2, whose correction leaves x as it
    is).
    """
    if len(moments.mean_x) == len(weights) > 1:
        restored = dequantize(vectors, gamma, weights.shape[-1])
        products = _rows(weights) * moments.mean_x - _rows(restored) * moments.mean_y
        return np.asarray(products.sum(axis=1), np.float32)
    lost = []
    groups = np.split(np.arange(len(weights)), len(moments.mean_x))
    for channels, mean_x, mean_y in zip(groups, moments.mean_x, moments.mean_y, strict=True):
        for part in by_channels((len(channels), *weights.shape[1:])):
            chosen = channels[part]
            restored = dequantize(vectors[chosen], gamma[chosen], weights.shape[-1])
            lost.append(_rows(weights[chosen]) @ mean_x - _rows(restored) @ mean_y)
    return np.concatenate(lost).astype(np.float32)


def _rows(weights: Array) -> npt.NDArray[np.float64]:
    """[K, D]."""
    return weights.astype(np.float64).reshape(len(weights), -1)
