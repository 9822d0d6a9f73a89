"""Layer after layer: what each of them reads in fp32, and what the layers before it, quantized, give it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tvm_vsq.errors import CalibrationError, VsqWarning
from tvm_vsq.graph import constant_array, definitions, static_shape
from tvm_vsq.network import source_of, weight_form
from tvm_vsq.numerics import dequantize
from tvm_vsq.quantize.activations.encodings import Encoding
from tvm_vsq.quantize.data import batches
from tvm_vsq.quantize.plan import Plan, QuantizedLayer, Reading
from tvm_vsq.quantize.weights.moments import Moments, MomentSums, as_read
from tvm_vsq.torch_graph import TorchGraph, tensor_of
from tvm_vsq.tvm_compat import IRModule, Var

Array = npt.NDArray[Any]

_MOST_BYTES = 4 << 30
"""Of activations held at once, in both networks: where all samples need more, some stand for them."""


class InSequence:
    """The fp32 network and the one that is quantized so far, side by side over the calibration data."""

    def __init__(
        self, module: IRModule, plan: Plan, encodings: Mapping[Reading, Encoding], data: Any, guard_bits: int
    ) -> None:
        self._function, self._plan = module["main"], plan
        self._encodings, self._data, self._guard_bits = encodings, data, guard_bits
        self._calls: Mapping[Any, Any] = definitions(self._function)
        self._is_running = False
        self._kernels: dict[Var, Tensor] = {}
        self._transposed: set[tuple[Var, int]] = set()  # operands that vectors run across
        self._corrections: dict[Var, Tensor] = {}

    def layers(self) -> Iterator[tuple[QuantizedLayer, Moments | None]]:
        """The plan's layers that have weights, in program order, with the moments of those that need them.

        Each has to be settled before the next one is asked for.

        A layer with too few rows is left without moments, with a VsqWarning, or refused with a
        CalibrationError if `plan.strict`. The data (see `tvm_vsq.quantize.data.batches`) are looked at once,
        if there is such a layer.
        """
        layers = {layer.chain.anchor: layer for layer in self._plan.layers if layer.has_weights}
        if not any(layer.config.needs_moments for layer in layers.values()):
            yield from ((layer, None) for layer in layers.values())
            return
        self._is_running = True
        fp32 = TorchGraph(self._function)
        quantized = TorchGraph(self._function, operands=dict(self._operands()))
        runs = self._runs(4 * (fp32.most_values + quantized.most_values))
        for (var, exact), (_, found) in zip(fp32.walk(runs), quantized.walk(runs), strict=True):
            self._finish(found)
            layer = layers.pop(var, None)
            if layer is None:
                continue
            moments = None
            if layer.config.needs_moments:
                x = [values[layer.x].numpy() for values in exact]
                is_alone = layer.config.fitted_inputs == "fp32"
                y = x if is_alone else [values[layer.x].numpy() for values in found]
                moments = self._moments(layer, x, y)
            yield layer, moments
            if not layers:
                return

    def settle(self, layer: QuantizedLayer, vectors: Array, gamma: Array, correction: Array | None) -> None:
        """The layer has these weights now (see `LayerWeights`), and this is added to its result [..., K]."""
        if not self._is_running:
            return
        call = self._calls[layer.chain.anchor]
        form = weight_form(call)
        rows = dequantize(vectors, gamma, form.rows(constant_array(call.args[1])).shape[-1])
        kernel = form.restored(torch.from_numpy(rows), static_shape(call.args[1]))
        self._kernels[layer.chain.anchor] = kernel.float()
        if correction is not None:
            self._corrections[layer.chain.anchor] = torch.from_numpy(correction)

    def _runs(self, size: int) -> list[list[Tensor]]:
        """The inputs of the runs, each of `size` bytes, that can be held."""
        runs = [[tensor_of(x) for x in arrays] for arrays in batches(self._function, self._data)]
        count = min(len(runs), max(1, _MOST_BYTES // size))
        return [runs[number * len(runs) // count] for number in range(count)]

    def _moments(self, layer: QuantizedLayer, x: list[Array], y: list[Array]) -> Moments | None:
        call = self._calls[layer.chain.anchor]
        form, source = weight_form(call), source_of(call)
        weights = form.rows(constant_array(call.args[1]))
        total = MomentSums(
            layer.name,
            self._encodings[layer.reads[0]],
            self._guard_bits,
            math.prod(weights.shape[1:]),
            None if source is None else source.window(call),
            centred=layer.config.bias_correction,
            weights=np.ascontiguousarray(weights) if layer.config.weight_rounding == "gptq" else None,
        )
        for exact, found in zip(x, y, strict=True):
            total.add(exact, found)
        try:
            return total.moments()
        except CalibrationError as error:
            if self._plan.strict:
                raise
            method = layer.config.weight_calibration
            method = "mse" if method == "output" else method
            unfitted = f"its bias stays, weights are rounded to nearest by weight_calibration='{method}'"
            warnings.warn(f"{error}; {unfitted}", VsqWarning, stacklevel=2)
            return None

    def _finish(self, runs: list[dict[Any, Any]]) -> None:
        """Of a layer that has been computed since it was settled: correct the result, if it is read."""
        for anchor, correction in self._corrections.items():
            for values in runs:
                if anchor in values:
                    values[anchor] = values[anchor] + correction
        self._corrections.clear()
        self._kernels.clear()

    def _operands(self) -> Iterator[tuple[Var, Callable[..., list[Tensor]]]]:
        """What layers, and the sums behind them, read instead: quantized tensors and settled weights."""
        readings: dict[Var, dict[int, Reading]] = {}
        for layer in self._plan.layers:
            anchor, chain = layer.chain.anchor, layer.chain
            if not layer.reads:
                continue  # rows of numbers
            first, *others = layer.reads
            readings.setdefault(anchor, {})[0] = first
            if chain.residual_add is not None:
                readings.setdefault(chain.residual_add, {})[chain.residual_operand] = others[0]
            source = source_of(self._calls[anchor])
            if source is not None and source.other is not None:
                readings[anchor][source.other] = others[-1]
                if source.other_is_transposed:
                    self._transposed.add((anchor, source.other))
        for var, read in readings.items():
            yield var, lambda *operands, var=var, read=read: self._read(var, read, operands)

    def _read(self, var: Var, readings: Mapping[int, Reading], operands: tuple[Tensor, ...]) -> list[Tensor]:
        found = list(operands)
        for place, reading in readings.items():
            encoding = self._encodings[reading]
            is_transposed = (var, place) in self._transposed
            x = found[place].mT if is_transposed else found[place]
            restored = as_read(x, encoding, self._guard_bits) * float(encoding.limit or 1.0)
            found[place] = restored.mT if is_transposed else restored
        if var in self._kernels:
            found[1] = self._kernels[var]
        return found
