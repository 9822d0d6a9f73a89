"""Quantizes a network with the numbers of another one: the same layers at other shapes, as of decoding step
by step, then give the same bits where they see the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import QuantizationError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.layers.likeness import signatures
from tvm_vsq.layers.node import Node, Vectors
from tvm_vsq.layers.ranges import argument_ranges, output_ranges
from tvm_vsq.layers.reader import read_nodes
from tvm_vsq.numerics import dequantize
from tvm_vsq.quantize.activations.encodings import Encoding
from tvm_vsq.quantize.calibration import Range
from tvm_vsq.quantize.config import QuantConfig
from tvm_vsq.quantize.insert import insert_quantization
from tvm_vsq.quantize.plan import Plan, QuantizedLayer, Reading, make_plan
from tvm_vsq.quantize.unify import unified
from tvm_vsq.quantize.weights.layer_weights import LayerWeights, float_weights
from tvm_vsq.tvm_compat import IRModule, Var

_LEAST_LIKENESS = 0.5
"""Of weights and the integers that they are to become: what their scalar product is, of that of the
longer.
"""


def quantize_alike(
    module: IRModule, config: QuantConfig, hardware: HardwareConfig, like: IRModule
) -> IRModule:
    """A module from `quantizer.prepare`, quantized with the integers and scales that `like`, a fake-quantized
    module, has for the same layers (`layers.likeness`).

    Raises QuantizationError naming a layer that `like` has not, or has with other weights.
    """
    plan = unified(make_plan(module, config, hardware), hardware)
    return _Alike(module, plan, hardware, like).quantized()


class _Alike:
    def __init__(self, module: IRModule, plan: Plan, hardware: HardwareConfig, like: IRModule) -> None:
        self._module, self._plan, self._hardware = module, plan, hardware
        self._nodes = {node.name: node for node in read_nodes(like, hardware.formats.weight)}
        self._results, self._arguments = output_ranges(like), argument_ranges(like)
        theirs: dict[str, str] = {}
        for name, signature in signatures(like).items():
            theirs.setdefault(signature, name)
        self._names = {name: theirs.get(found, name) for name, found in signatures(module).items()}

    def quantized(self) -> IRModule:
        plan = self._plan
        ranges: dict[Var, Range] = {}
        encodings: dict[Reading, Encoding] = {}
        weights: dict[str, LayerWeights] = {}
        for layer in plan.layers:
            ranges |= self._ranges(layer)
            if layer.has_rows:
                continue
            node = self._of(layer.name, self._nodes)
            for reading, vectors in self._readings(layer, node):
                for each in [reading, *plan.sources(reading)]:
                    encodings[each] = _encoding(each, vectors)
            if layer.has_weights:
                weights[layer.name] = self._weights(layer, node)
        return insert_quantization(self._module, plan, ranges, encodings, weights, self._hardware)

    def _of(self, name: str, numbers: Mapping[str, Any]) -> Any:
        """Those of the layer that is the same in the other network."""
        theirs = self._names.get(name, name)
        if theirs not in numbers:
            raise QuantizationError(
                f"layer '{name}' is none of the network whose numbers are to be taken; both have to be made "
                f"of the same layers in the same order"
            )
        return numbers[theirs]

    def _ranges(self, layer: QuantizedLayer) -> dict[Var, Range]:
        absmax = self._of(layer.name, self._results)
        found = {layer.chain.output: Range(-absmax, absmax)}
        argument = layer.x if layer.has_rows else layer.chain.argument
        if argument is not None:
            absmax = self._of(layer.name, self._arguments)
            found[argument] = Range(-absmax, absmax)
        return found

    def _readings(self, layer: QuantizedLayer, node: Node) -> list[tuple[Reading, Vectors]]:
        """What the layer reads, with how the other network stores that."""
        stored = [each for each in (node.x, node.residual, node.other) if each is not None]
        if len(stored) != len(layer.reads):
            raise QuantizationError(
                f"layer '{layer.name}' reads {len(layer.reads)} tensors, and {len(stored)} in the network "
                f"whose numbers are to be taken"
            )
        return list(zip(layer.reads, stored, strict=True))

    def _weights(self, layer: QuantizedLayer, node: Node) -> LayerWeights:
        weights, theirs = float_weights(self._module, layer), node.weights
        if theirs is None or theirs.vectors.shape[:-2] != weights.shape[:-1]:
            raise QuantizationError(f"layer '{layer.name}' has weights of another shape in the other network")
        restored = dequantize(theirs.vectors, theirs.gamma, weights.shape[-1])
        if not _are_alike(weights, restored):
            raise QuantizationError(
                f"layer '{layer.name}' has other weights in the network whose numbers are to be taken; "
                f"quantize that with attention='cached', which keeps channels in their order"
            )
        scale = node.chain.scale  # of a result and its bias
        correction = _difference(node.chain.bias / scale, layer.chain.bias / scale, layer.name)
        return LayerWeights(theirs.vectors, theirs.gamma, correction)


def _encoding(reading: Reading, vectors: Vectors) -> Encoding:
    fmt = vectors.format
    ones = fmt.vectors(int(reading.tensor.ty.shape[-1])) if reading.settings.scales == "one" else 0
    return Encoding(fmt, float(vectors.gamma) * fmt.qmax * fmt.smax, ones=ones)


def _are_alike(weights: npt.NDArray[Any], restored: npt.NDArray[Any]) -> bool:
    ours, theirs = (each.astype(np.float64).ravel() for each in (weights, restored))
    longest = max(ours @ ours, theirs @ theirs)
    return bool(longest == 0 or ours @ theirs > _LEAST_LIKENESS * longest)


def _difference(
    wanted: npt.NDArray[Any], bias: npt.NDArray[Any], layer: str
) -> npt.NDArray[np.float32] | None:
    """What has to be added to `bias`, in float32, for `wanted`; None for nothing."""
    if np.array_equal(wanted, bias):
        return None
    ours, sum32 = bias.astype(np.float32), wanted.astype(np.float32)
    found: npt.NDArray[np.float32] = (wanted - bias).astype(np.float32)
    for _ in range(4):  # a sum is rounded, and so may be off by a last bit
        missed = ours + found - sum32
        if not missed.any():
            return found
        found = np.where(missed > 0, np.nextafter(found, -np.inf), found).astype(np.float32)
        found = np.where(missed < 0, np.nextafter(found, np.inf), found).astype(np.float32)
    raise QuantizationError(f"layer '{layer}' has a bias in the other network that no correction gives")
