"""Runs a network in fp32 and quantized side by side, and measures each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats import VectorFormat
from tvm_vsq.graph import constant_array, definitions
from tvm_vsq.layers.chains import find_chains
from tvm_vsq.layers.node import Node, Vectors
from tvm_vsq.layers.on_cpu import layers_on_cpu
from tvm_vsq.layers.reader import read_nodes
from tvm_vsq.network import layer_names, refusal, source_of, weight_form
from tvm_vsq.network.names import weighted_layers
from tvm_vsq.quantize.data import batches
from tvm_vsq.study.report import LayerReport, OperandReport, QuantReport
from tvm_vsq.tvm_compat import IRModule, Var

Array = npt.NDArray[Any]


def measure(canonical: IRModule, quantized: IRModule, data: Any) -> QuantReport:
    """Compare `quantized` (from `quantize.quantize`) with the fp32 module it was made from, over `data`.

    data: see `tvm_vsq.quantize.data.batches`. Both run in PyTorch.
    """
    import torch

    from tvm_vsq.torch_graph import TorchGraph, tensor_of

    pairs = _pairs(canonical, quantized)
    fp32_points = [var for pair in pairs for var in (pair.fp32_x, pair.fp32_output)]
    stored = [part for pair in pairs for part in pair.node.x.stored]
    points = [var for pair in pairs for var in (pair.node.x.source, pair.output)]
    points += [part.vectors for part in stored]
    fp32 = TorchGraph(canonical["main"], [*fp32_points, canonical["main"].body.body])
    network = TorchGraph(quantized["main"], [*points, quantized["main"].body.body])
    tallies = [_Tally(pair) for pair in pairs]
    result, samples = Ratio(), 0
    for arrays in batches(canonical["main"], data):
        with torch.inference_mode():
            tensors = [tensor_of(array) for array in arrays]
            *expected, expected_result = fp32(*tensors)
            *found, found_result = network(*tensors)
        vectors = dict(zip((part.vectors for part in stored), found[2 * len(pairs) :], strict=True))
        for index, tally in enumerate(tallies):
            tally.add(expected[2 * index : 2 * index + 2], found[2 * index : 2 * index + 2], vectors)
        for reference, value in zip(_flat(expected_result), _flat(found_result), strict=True):
            result.add(reference.numpy(), value.numpy())
        samples += 1
    return QuantReport(
        layers=tuple(tally.report() for tally in tallies),
        fp32=_left_in_fp32(canonical, quantized, pairs),
        output_sqnr_db=result.db,
        samples=samples,
    )


@dataclass
class Ratio:
    """Signal and error of all that was added; `db` is their ratio."""

    signal: float = 0.0
    error: float = 0.0

    def add(self, reference: Array, value: Array) -> None:
        """Compare two arrays of one shape."""
        exact = reference.astype(np.float64)
        self.signal += float(np.square(exact).sum())
        self.error += float(np.square(exact - value).sum())

    @property
    def db(self) -> float:
        """Infinite if there is no error, minus infinite if there is error alone."""
        if self.error == 0:
            return float("inf")
        return 10 * float(np.log10(self.signal / self.error)) if self.signal else float("-inf")


@dataclass(frozen=True)
class _Pair:
    """A quantized layer, and what it was in fp32; outputs are those of the layers with their epilogues."""

    node: Node
    output: Var
    fp32_x: Var
    fp32_weights: Array | None
    fp32_output: Var


def _pairs(canonical: IRModule, quantized: IRModule) -> list[_Pair]:
    fp32_values = definitions(canonical["main"])
    nodes = {node.anchor: node for node in read_nodes(quantized)}
    # quantization neither adds nor removes layers, nor changes their order
    both = zip(layer_names(canonical), layer_names(quantized), strict=True)
    anchors = [(old, nodes[new]) for old, new in both if new in nodes]
    fp32_outputs = _outputs(canonical, [old for old, node in anchors if node.is_fusable])
    outputs = _outputs(quantized, [node.anchor for _, node in anchors if node.is_fusable])
    found = []
    for old, node in anchors:
        source: Any = fp32_values[old]
        weights = None if node.weights is None else weight_form(source).rows(constant_array(source.args[1]))
        output, fp32_output = outputs.get(node.anchor, node.anchor), fp32_outputs.get(old, old)
        found.append(_Pair(node, output, source.args[0], weights, fp32_output))
    return found


def _outputs(module: IRModule, anchors: list[Var]) -> dict[Var, Var]:
    chains = find_chains(module["main"], anchors, lambda _: True)
    return {anchor: chain.output for anchor, chain in chains.items()}


def _left_in_fp32(canonical: IRModule, quantized: IRModule, pairs: list[_Pair]) -> dict[str, str]:
    names, values = layer_names(canonical), definitions(canonical["main"])
    measured, why = {pair.node.name for pair in pairs}, layers_on_cpu(quantized)
    found = {}
    for var in weighted_layers(canonical["main"]):
        name = names[var]
        if name not in measured and source_of(values[var]) is not None:
            found[name] = refusal(values[var]) or why.get(name, "left in fp32 by a rule")
    return found


class _Tally:
    """Sums over the data of one layer."""

    def __init__(self, pair: _Pair) -> None:
        self._pair, self._x = pair, pair.node.x
        self._input, self._output = Ratio(), Ratio()
        self._codes = np.zeros(self._x.format.qmax - self._x.format.lo + 1, np.int64)
        self._clipped = self._elements = 0

    def add(self, expected: list[Any], found: list[Any], stored: Mapping[Var, Any]) -> None:
        """fp32 input and result, the same where it is quantized, and vectors that are stored."""
        fp32_x, fp32_output = (tensor.numpy() for tensor in expected)
        x, output = (tensor.numpy() for tensor in found)
        vectors = _moved(self._x, stored)
        fmt = self._x.format
        codes, step = _unfold(vectors, self._x.gamma, x.shape[-1])
        self._input.add(fp32_x, codes * step)
        self._output.add(fp32_output, output)
        self._codes += np.bincount((codes - fmt.lo).reshape(-1), minlength=len(self._codes))
        # what is moved was clipped, if at all, where it was stored
        self._clipped += 0 if self._x.move else _clipped(x, step, fmt)
        self._elements += x.size

    def report(self) -> LayerReport:
        node, fmt = self._pair.node, self._x.format
        activations = OperandReport(
            sqnr_db=self._input.db,
            bits_per_element=_bits_per_element(fmt, node.channels),
            clipped=self._clipped / self._elements,
            codes=self._codes.tolist(),
            lowest_code=fmt.lo,
        )
        return LayerReport(
            name=node.name,
            formats=_notation(node),
            vector_size=fmt.vector_size,
            padding=1 - node.channels / (fmt.vectors(node.channels) * fmt.vector_size),
            weights=self._weights(),
            activations=activations,
            output_sqnr_db=self._output.db,
        )

    def _weights(self) -> OperandReport | None:
        weights, stored = self._pair.fp32_weights, self._pair.node.weights
        if weights is None or stored is None:
            return None
        channels, fmt = weights.shape[-1], stored.format
        gamma = stored.gamma.astype(np.float64).reshape(-1, *[1] * (weights.ndim - 1))
        codes, step = _unfold(stored.vectors, gamma, channels)
        ratio = Ratio()
        ratio.add(weights, codes * step)
        return OperandReport(
            sqnr_db=ratio.db,
            bits_per_element=_bits_per_element(fmt, channels) + 32 * len(weights) / weights.size,
            clipped=_clipped(weights, step, fmt) / weights.size,
            codes=np.bincount((codes - fmt.lo).reshape(-1), minlength=fmt.qmax - fmt.lo + 1).tolist(),
            lowest_code=fmt.lo,
        )


def _moved(read: Vectors, stored: Mapping[Var, Any]) -> Array:
    """The vectors that a layer reads, of those that are stored."""
    if read.move is None:
        return np.asarray(stored[read.vectors].numpy())
    return read.move.on_arrays([_moved(part, stored) for part in read.parts])


def _notation(node: Node) -> str:
    activation, weight = node.x.format, None if node.weights is None else node.weights.format
    widths = (weight and weight.bits, activation.bits, weight and weight.scale_bits, activation.scale_bits)
    return "/".join("-" if width is None else str(width) for width in widths)


def _unfold(vectors: Array, gamma: Any, channels: int) -> tuple[Array, Array]:
    """Codes [..., C] and what one code is worth [..., C], from vectors [..., CV, V+1]."""
    size = vectors.shape[-1] - 1
    codes = vectors[..., :-1].astype(np.int64).reshape(*vectors.shape[:-2], -1)[..., :channels]
    scales = np.repeat(vectors[..., -1].astype(np.float64), size, axis=-1)[..., :channels]
    return codes, scales * gamma


def _clipped(values: Array, step: Array, fmt: VectorFormat) -> int:
    """How many values lie beyond the outermost codes by more than half a step."""
    with np.errstate(divide="ignore", invalid="ignore"):  # a scale of 0, which weight_order="paper" can give
        codes = values.astype(np.float64) / step
    return int(((codes > fmt.qmax + 0.5) | (codes < fmt.lo - 0.5)).sum())


def _bits_per_element(fmt: VectorFormat, channels: int) -> float:
    return fmt.vectors(channels) * fmt.record_bits / channels


def _flat(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]
