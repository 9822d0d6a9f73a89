"""Inserts vsq.quantize / vsq.dequantize around convolutions and matrix products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq import relax_ops
from tvm_vsq.frontend.given import GivenWeights, given_weights, without_given
from tvm_vsq.graph import Rebuilder, constant, constant_array, op_name, replace_main, static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.layers.formats import weight_format
from tvm_vsq.layers.steps import accumulator_steps, activation_gamma, output_gamma, smallest_step
from tvm_vsq.numerics import inverse_step, quantize_weights
from tvm_vsq.quantize.calibration import Range
from tvm_vsq.quantize.config import QuantConfig
from tvm_vsq.quantize.formats import tensor_format
from tvm_vsq.quantize.given_weights import take_given
from tvm_vsq.quantize.plan import Plan, QuantizedLayer
from tvm_vsq.quantize.signs import Signs
from tvm_vsq.quantize.weight_search import search_weights
from tvm_vsq.tvm_compat import Call, IRModule, Var


def insert_quantization(
    module: IRModule, plan: Plan, ranges: dict[Var, Range], config: QuantConfig, hardware: HardwareConfig
) -> IRModule:
    """The fake-quantized graph: still fp32 arithmetic, on values that went through the integer formats.

    Constant weights become vsq.dequantize(int16 vectors, gamma[K]), which also carries, as attributes, the
    layer's name and the calibrated range of its result ("layer", "output_absmax"). Constants must not be
    folded afterwards. A tensor is quantized once, whoever reads it; the result of a layer that is quantized
    is read back by all its readers, other tensors stay fp32 for those that are not layers.
    """
    function = _Insert(module["main"], plan, ranges, config, hardware, given_weights(module)).run()
    return replace_main(without_given(module), function)


@dataclass(frozen=True)
class _Quantized:
    """A tensor after quantize and dequantize, with its gamma."""

    value: Var
    gamma: np.float32


class _Insert(Rebuilder):
    def __init__(
        self,
        function: relax.Function,
        plan: Plan,
        ranges: dict[Var, Range],
        config: QuantConfig,
        hardware: HardwareConfig,
        given: dict[str, GivenWeights],
    ) -> None:
        super().__init__(function)
        self._given = given
        self._layers = {layer.chain.anchor: layer for layer in plan.layers}
        self._residual_adds = {layer.chain.residual_add: layer for layer in plan.layers}
        self._outputs = {
            layer.chain.output: layer for layer in plan.layers if layer.chain.output in plan.quantized
        }
        self._ranges, self._config, self._hardware = ranges, config, hardware
        self._signs = Signs(function)
        self._quantized: dict[Var, _Quantized] = {}
        self._steps: dict[Var, Any] = {}  # by anchor: accumulator_steps

    def rewrite(self, var: Var, value: Any) -> Any:
        if var in self._layers:
            value = self._quantize_layer(self._layers[var], value)
        elif var in self._residual_adds:
            chain = self._residual_adds[var].chain
            operands = list(value.args)
            operands[chain.residual_operand] = self._read(chain.residual).value
            value = Call(value.op, operands, value.attrs)
        if var not in self._outputs:
            return value
        self._quantized[var] = self._quantize(
            var, self.emit(value), self._gamma_of_output(self._outputs[var])
        )
        return self._quantized[var].value

    def _quantize_layer(self, layer: QuantizedLayer, call: Call) -> Call:
        x = self._read(layer.x)
        weights = constant_array(call.args[1])
        is_conv = op_name(call) == "relax.nn.conv2d"
        rows = weights if is_conv else weights.T
        fmt = weight_format(self._hardware)
        given = self._given.get(layer.name)
        taken = None if given is None else take_given(given, rows, fmt, layer.name)
        if taken is not None:
            vectors, gamma = taken
        elif self._config.weight_calibration == "mse":
            vectors, gamma = search_weights(rows, fmt)
        else:
            vectors, gamma = quantize_weights(rows, fmt, self._config.weight_order)
        self._steps[layer.chain.anchor] = accumulator_steps(vectors, gamma, float(x.gamma), self._hardware)
        restored = relax_ops.dequantize(constant(vectors), constant(gamma), channels=rows.shape[-1])
        extra = {"layer": layer.name, "output_absmax": self._ranges[layer.chain.output].absmax}
        kernel = self.emit(Call(restored.op, restored.args, {**dict(restored.attrs), **extra}))
        if not is_conv:
            kernel = self.emit(relax.op.permute_dims(kernel))
        return Call(call.op, [x.value, kernel], call.attrs)

    def _read(self, var: Var) -> _Quantized:
        """The quantized form of a tensor of the old function; made at its first reader."""
        if var not in self._quantized:
            gamma = activation_gamma(self._ranges[var].limit, self._format(var))
            self._quantized[var] = self._quantize(var, self.new(var), gamma)
        return self._quantized[var]

    def _quantize(self, var: Var, value: Var, gamma: np.float32) -> _Quantized:
        fmt, guard_bits = self._format(var), self._hardware.guard_bits
        vectors = relax_ops.quantize(
            value,
            bits=fmt.bits,
            scale_bits=fmt.scale_bits or 0,
            vector_size=fmt.vector_size,
            signed=int(fmt.signed),
            guard_bits=guard_bits,
            inv=float(inverse_step(gamma, guard_bits)),
        )
        channels = static_shape(var)[-1]
        restored = relax_ops.dequantize(self.emit(vectors), constant(np.asarray(gamma)), channels=channels)
        return _Quantized(self.emit(restored), gamma)

    def _gamma_of_output(self, layer: QuantizedLayer) -> np.float32:
        chain = layer.chain
        residual_gamma = float(self._read(chain.residual).gamma) if chain.residual is not None else 0.0
        finest = smallest_step(self._steps[chain.anchor], residual_gamma, chain.bias, self._hardware)
        return output_gamma(
            self._ranges[chain.output].limit, self._format(chain.output), finest, self._hardware
        )

    def _format(self, var: Var) -> Any:
        return tensor_format(var, self._ranges, self._signs, self._hardware)
