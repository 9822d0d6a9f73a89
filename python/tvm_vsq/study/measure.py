"""Runs a network in fp32 and quantized side by side, and measures each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats import QUANTIZED, WEIGHTS, VectorFormat, write_notation
from tvm_vsq.frontend import layer_names
from tvm_vsq.graph import constant_array, definitions, is_constant, op_name, static_shape
from tvm_vsq.layers.chains import find_chains
from tvm_vsq.layers.supported import unsupported
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
    points = [var for pair in pairs for var in (pair.x, pair.vectors, pair.output)]
    fp32 = TorchGraph(canonical["main"], [*fp32_points, canonical["main"].body.body])
    network = TorchGraph(quantized["main"], [*points, quantized["main"].body.body])
    tallies = [_Tally(pair) for pair in pairs]
    result, samples = Ratio(), 0
    for arrays in batches(list(canonical["main"].params), data):
        with torch.inference_mode():
            tensors = [tensor_of(array) for array in arrays]
            *expected, expected_result = fp32(*tensors)
            *found, found_result = network(*tensors)
        for index, tally in enumerate(tallies):
            tally.add(expected[2 * index : 2 * index + 2], found[3 * index : 3 * index + 3])
        for reference, value in zip(_flat(expected_result), _flat(found_result), strict=True):
            result.add(reference.numpy(), value.numpy())
        samples += 1
    return QuantReport(
        tuple(tally.report() for tally in tallies), _left_in_fp32(canonical, pairs), result.db, samples
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
    """A layer in both modules. x: what is quantized to `vectors`; output: with the layer's epilogue."""

    name: str
    fp32_x: Var
    fp32_output: Var
    fp32_weights: Array
    x: Var
    vectors: Var
    gamma: float
    format: VectorFormat
    output: Var
    weights: Array
    weight_gamma: Array
    weight_format: VectorFormat


def _pairs(canonical: IRModule, quantized: IRModule) -> list[_Pair]:
    values = definitions(quantized["main"])
    fp32_values = definitions(canonical["main"])
    # quantization neither adds nor removes layers, nor changes their order
    both = list(zip(layer_names(canonical).items(), layer_names(quantized), strict=True))
    pairs = [(old, new, name) for (old, name), new in both if _kernel(values, values[new]) is not None]
    fp32_outputs = _outputs(canonical, [old for old, _, _ in pairs])
    outputs = _outputs(quantized, [new for _, new, _ in pairs])
    found = []
    for old, new, name in pairs:
        call: Any = values[new]
        kernel = _kernel(values, call)
        restored: Any = values[call.args[0]]
        quantize: Any = values[restored.args[0]]
        source: Any = fp32_values[old]
        weights = constant_array(source.args[1])
        fmt = QUANTIZED.read(quantize.attrs)
        found.append(
            _Pair(
                name=name,
                fp32_x=source.args[0],
                fp32_output=fp32_outputs[old],
                fp32_weights=weights if op_name(source) == "relax.nn.conv2d" else weights.T,
                x=quantize.args[0],
                vectors=restored.args[0],
                gamma=float(constant_array(restored.args[1])),
                format=fmt,
                output=outputs[new],
                weights=constant_array(kernel.args[0]),
                weight_gamma=constant_array(kernel.args[1]),
                weight_format=WEIGHTS.read(kernel.attrs, fmt.vector_size),
            )
        )
    return found


def _outputs(module: IRModule, anchors: list[Var]) -> dict[Var, Var]:
    values = definitions(module["main"])
    chains = find_chains(module["main"], [a for a in anchors if not _is_grouped(values[a])], lambda _: True)
    return {anchor: chains[anchor].output if anchor in chains else anchor for anchor in anchors}


def _is_grouped(call: Any) -> bool:
    return op_name(call) == "relax.nn.conv2d" and int(call.attrs.groups) != 1


def _kernel(values: Mapping[Var, Any], call: Any) -> Any:
    """The vsq.dequantize call that restores a layer's weights; None if they are fp32."""
    kernel: Any = values.get(call.args[1])
    if op_name(kernel) == "relax.permute_dims":
        kernel = values.get(kernel.args[0])
    return kernel if op_name(kernel) == "vsq.dequantize" and is_constant(kernel.args[0]) else None


def _left_in_fp32(canonical: IRModule, pairs: list[_Pair]) -> dict[str, str]:
    values = definitions(canonical["main"])
    quantized = {pair.name for pair in pairs}
    return {
        name: unsupported(values[var]) or "left in fp32 by a rule"
        for var, name in layer_names(canonical).items()
        if name not in quantized
    }


class _Tally:
    """Sums over the data of one layer."""

    def __init__(self, pair: _Pair) -> None:
        self._pair = pair
        self._input, self._output = Ratio(), Ratio()
        self._codes = np.zeros(pair.format.qmax - pair.format.lo + 1, np.int64)
        self._clipped = self._elements = 0

    def add(self, expected: list[Any], found: list[Any]) -> None:
        pair = self._pair
        fp32_x, fp32_output = (tensor.numpy() for tensor in expected)
        x, vectors, output = (tensor.numpy() for tensor in found)
        codes, step = _unfold(vectors, pair.gamma, x.shape[-1])
        self._input.add(fp32_x, codes * step)
        self._output.add(fp32_output, output)
        self._codes += np.bincount((codes - pair.format.lo).reshape(-1), minlength=len(self._codes))
        self._clipped += _clipped(x, step, pair.format)
        self._elements += x.size

    def report(self) -> LayerReport:
        pair = self._pair
        weights = pair.fp32_weights
        channels = weights.shape[-1]
        gamma = pair.weight_gamma.astype(np.float64).reshape(-1, *[1] * (weights.ndim - 1))
        codes, step = _unfold(pair.weights, gamma, channels)
        ratio = Ratio()
        ratio.add(weights, codes * step)
        fmt = pair.weight_format
        in_channels = static_shape(pair.x)[-1]
        weight_report = OperandReport(
            ratio.db,
            _bits_per_element(fmt, channels) + 32 * len(weights) / weights.size,
            _clipped(weights, step, fmt) / weights.size,
            np.bincount((codes - fmt.lo).reshape(-1), minlength=fmt.qmax - fmt.lo + 1).tolist(),
            fmt.lo,
        )
        activation_report = OperandReport(
            self._input.db,
            _bits_per_element(pair.format, in_channels),
            self._clipped / self._elements,
            self._codes.tolist(),
            pair.format.lo,
        )
        notation = write_notation(fmt.bits, pair.format.bits, fmt.scale_bits, pair.format.scale_bits)
        lanes = pair.format.vectors(in_channels) * fmt.vector_size
        return LayerReport(
            pair.name,
            notation,
            fmt.vector_size,
            1 - in_channels / lanes,
            weight_report,
            activation_report,
            self._output.db,
        )


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
