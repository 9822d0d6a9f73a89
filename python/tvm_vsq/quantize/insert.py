"""Inserts vsq.quantize / vsq.dequantize around convolutions and matrix products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq import relax_ops
from tvm_vsq.formats import QUANTIZED, WEIGHTS
from tvm_vsq.frontend.given import without_given
from tvm_vsq.graph import (
    Rebuilder,
    bindings,
    constant,
    constant_array,
    definitions,
    is_constant,
    op_name,
    replace_main,
    static_shape,
    substitute,
)
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.layers.arithmetic import with_arithmetic
from tvm_vsq.layers.closed_rows import with_closed_rows
from tvm_vsq.layers.on_cpu import with_layers_on_cpu
from tvm_vsq.layers.ranges import with_argument_ranges, with_output_ranges
from tvm_vsq.layers.steps import (
    accumulator_steps,
    activation_gamma,
    output_gamma,
    smallest_step,
    wide_step,
)
from tvm_vsq.layers.tables import table_of
from tvm_vsq.layers.weightless import product_rounding, weightless_steps
from tvm_vsq.network import source_of, weight_form
from tvm_vsq.numerics import inverse_step
from tvm_vsq.quantize.activations.encodings import Encoding
from tvm_vsq.quantize.activations.shared_scales import shared_scales
from tvm_vsq.quantize.calibration import Range
from tvm_vsq.quantize.plan import Plan, QuantizedLayer, Reading
from tvm_vsq.quantize.weights.layer_weights import LayerWeights
from tvm_vsq.tvm_compat import Call, IRModule, Var


def insert_quantization(
    module: IRModule,
    plan: Plan,
    ranges: Mapping[Var, Range],
    encodings: Mapping[Reading, Encoding],
    weights: Mapping[str, LayerWeights],
    hardware: HardwareConfig,
) -> IRModule:
    """The fake-quantized graph: still fp32 arithmetic, on values that went through the integer formats.

    Constant weights become vsq.dequantize(int16 vectors, gamma[K]), which also carries the widths of their
    format ("weight_bits", "weight_scale_bits"). Constants must not be folded afterwards. A tensor is
    quantized once for all layers that read it in the same form. Where that is the form in which the layer
    before it can store its result, everything reads that; other tensors stay fp32 for those that are not
    layers. The module records the calibrated ranges of the layers' results (`layers.ranges`), and what else
    of `hardware` its results depend on (`layers.arithmetic`). `layers.reader` reads all of it.
    """
    absmax = {layer.name: ranges[layer.chain.output].absmax for layer in plan.layers}
    module = with_output_ranges(without_given(module), absmax)
    arguments = {layer.name: layer.x if layer.has_rows else layer.chain.argument for layer in plan.layers}
    module = with_argument_ranges(
        module, {name: ranges[var].absmax for name, var in arguments.items() if var is not None}
    )
    floors: dict[Reading, np.float32] = {}
    function = None
    while function is None:
        insert = _Insert(module["main"], plan, ranges, encodings, weights, hardware, floors)
        function = insert.run()
        if insert.raised:  # a tensor that shares its coarse scale wants more than those before it have
            function = None
    closed = [layer.name for layer in plan.layers if layer.has_rows and layer.config.attention == "cached"]
    module = with_closed_rows(replace_main(module, function), closed)
    return with_layers_on_cpu(with_arithmetic(module, hardware), plan.on_cpu)


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
        ranges: Mapping[Var, Range],
        encodings: Mapping[Reading, Encoding],
        weights: Mapping[str, LayerWeights],
        hardware: HardwareConfig,
        floors: dict[Reading, np.float32],
    ) -> None:
        super().__init__(function)
        self._plan, self._shared, self._floors = plan, shared_scales(plan), floors
        self.raised = False
        self._calls = definitions(function)
        self._layers = {layer.chain.anchor: layer for layer in plan.layers}
        self._made = {layer.chain.output: layer for layer in plan.layers}
        self._residual_adds = {layer.chain.residual_add: layer for layer in plan.layers}
        self._requantized = plan.requantized
        self._outputs = {
            layer.chain.output: layer for layer in plan.layers if layer.chain.output in self._requantized
        }
        self._encodings, self._weights, self._ranges = encodings, weights, ranges
        self._hardware = hardware
        self._bias_adds = dict(self._find_bias_adds())  # the name of the layer that each is of
        self._quantized: dict[Reading, _Quantized] = {}
        self._steps: dict[Var, Any] = {}  # by anchor: accumulator_steps

    def rewrite(self, var: Var, value: Any) -> Any:
        if var in self._layers:
            value = self._quantize_layer(self._layers[var], value)
        elif var in self._residual_adds:
            value = self._quantize_residual(self._residual_adds[var], value)
        elif var in self._bias_adds:
            correction = self._weights[self._bias_adds[var]].bias_correction
            operands = [
                constant(constant_array(arg) + correction) if is_constant(arg) else arg for arg in value.args
            ]
            value = Call(value.op, operands, value.attrs)
        if var not in self._outputs:
            return value
        layer = self._outputs[var]
        reading = self._requantized[var]
        quantized = self._quantize(reading, self.emit(value), self._gamma_of_output(layer))
        self._quantized[reading] = quantized
        return quantized.value

    def _quantize_layer(self, layer: QuantizedLayer, call: Call) -> Call:
        if layer.has_rows:
            return call
        x = self._read(layer.reads[0])
        call = Call(call.op, [x.value, *call.args[1:]], call.attrs)
        if layer.chain.residual_add == layer.chain.anchor:
            call = self._quantize_residual(layer, call)
        if layer.name not in self._weights:
            fp32, gamma = self._calls[layer.chain.anchor], float(x.gamma)
            if layer.other is not None:
                call, gamma = self._quantize_other(layer, call, gamma)
            steps = weightless_steps(fp32, gamma)
            if layer.has_second_operand:
                steps = np.full(static_shape(layer.chain.anchor)[-1], gamma)
            self._steps[layer.chain.anchor] = steps
            return call
        chosen, form = self._weights[layer.name], weight_form(call)
        self._steps[layer.chain.anchor] = accumulator_steps(
            chosen.vectors,
            chosen.gamma,
            float(x.gamma),
            0 if form.along_taps else layer.formats.product_shift,
        )
        shape = static_shape(call.args[1])
        channels = form.rows(constant_array(call.args[1])).shape[-1]
        restored = relax_ops.dequantize(constant(chosen.vectors), constant(chosen.gamma), channels=channels)
        attrs = {**dict(restored.attrs), **WEIGHTS.write(layer.formats.weight)}
        kernel = self.emit(Call(restored.op, restored.args, attrs))
        if form.is_transposed:
            kernel = self.emit(relax.op.permute_dims(kernel))
        elif form.along_taps:
            kernel = self.emit(relax.op.reshape(kernel, shape))
        result = Call(call.op, [x.value, kernel], call.attrs)
        if chosen.bias_correction is None or layer.name in self._bias_adds.values():
            return result
        return relax.op.add(self.emit(result), constant(chosen.bias_correction))

    def _quantize_other(self, layer: QuantizedLayer, call: Call, gamma: float) -> tuple[Call, float]:
        """With its second activation quantized, and what a step of their product is worth."""
        first, last = layer.reads[0], layer.reads[-1]
        other, operands = self._read(last), list(call.args)
        if layer.has_second_operand:
            axes = list(range(len(static_shape(other.value))))
            axes[-2:] = axes[:-3:-1]
            operands[1] = self.emit(relax.op.permute_dims(other.value, axes))
            gamma *= float(other.gamma) * 2.0**layer.formats.product_shift
            return Call(call.op, operands, call.attrs), gamma
        operands[operands.index(self.new(layer.other))] = other.value
        ours, theirs = (self._encodings[reading].format for reading in (first, last))
        gamma *= float(other.gamma) * 2.0 ** product_rounding(ours, theirs, self._hardware)
        return Call(call.op, operands, call.attrs), gamma

    def _quantize_residual(self, layer: QuantizedLayer, call: Call) -> Call:
        operands = list(call.args)
        operands[layer.chain.residual_operand] = self._read(layer.reads[1]).value
        return Call(call.op, operands, call.attrs)

    def _find_bias_adds(self) -> Iterator[tuple[Var, str]]:
        """The biases of layers that are corrected; what a function adds to its argument is none."""
        for binding in bindings(self.old):
            if op_name(binding.value) == "relax.add" and any(map(is_constant, binding.value.args)):
                for arg in binding.value.args:
                    layer = self._layers.get(arg)
                    is_alone = layer and self.uses[arg] == 1 and binding.var not in layer.chain.applied
                    if layer and is_alone and self._correction(layer) is not None:
                        yield binding.var, layer.name

    def _read(self, reading: Reading) -> _Quantized:
        """The quantized form of a tensor of the old function; made at its first reader."""
        parts = self._plan.parts(reading)
        if reading not in self._quantized and parts:
            self._quantized[reading] = self._moved(reading, [self._read(part) for part in parts])
        elif reading not in self._quantized:
            encoding = self._encodings[reading]
            gamma = self._common(reading, activation_gamma(encoding.limit, encoding.format))
            self._quantized[reading] = self._quantize(reading, self.new(reading.tensor), gamma)
        return self._quantized[reading]

    def _moved(self, reading: Reading, parts: list[_Quantized]) -> _Quantized:
        """Of a tensor that is moved: what quantized ones give, moved."""
        operands = self._plan.moved[reading.tensor]
        values = [part.value for part in parts]
        if all(self.new(x) == value for x, value in zip(operands, values, strict=True)):
            return _Quantized(self.new(reading.tensor), parts[0].gamma)
        call = substitute(self._calls[reading.tensor], dict(zip(operands, values, strict=True)))
        return _Quantized(self.emit(call), parts[0].gamma)

    def _common(self, reading: Reading, gamma: np.float32) -> np.float32:
        """The coarse scale of all tensors that share theirs with this one, which needs no less than gamma."""
        first = self._shared.get(reading)
        if first is None:
            return gamma
        floor = self._floors.get(first)
        if floor is None or gamma > floor:
            self._floors[first] = gamma
            self.raised = self.raised or floor is not None
        return self._floors[first]

    def _quantize(self, reading: Reading, value: Var, gamma: np.float32) -> _Quantized:
        encoding, guard_bits = self._encodings[reading], self._hardware.guard_bits
        vectors = relax_ops.quantize(
            value,
            **QUANTIZED.write(encoding.format),
            guard_bits=guard_bits,
            inv=float(inverse_step(gamma, guard_bits)),
            scales=encoding.static_scales(float(gamma)),
        )
        channels = static_shape(reading.tensor)[-1]
        restored = relax_ops.dequantize(self.emit(vectors), constant(np.asarray(gamma)), channels=channels)
        return _Quantized(self.emit(restored), gamma)

    def _gamma_of_output(self, layer: QuantizedLayer) -> np.float32:
        return self._gamma_for(layer, self._finest(layer))

    def _finest(self, layer: QuantizedLayer) -> float:
        """What a unit of its result is worth at least."""
        chain, fp32 = layer.chain, self._calls[layer.chain.anchor]
        source: Any = source_of(fp32)
        if source.rows is not None and source.rows.keeps_unit:
            made = self._made.get(layer.x)
            unit = wide_step(self._ranges[layer.x].absmax, 0.0 if made is None else self._finest(made))
            return smallest_step(np.array([unit]), 0.0, np.zeros(1), self._hardware)
        if source.rows is not None:
            steps, shift = source.rows.factors(fp32)
            return smallest_step(np.abs(steps), 0.0, shift, self._hardware)
        residual_gamma = 0.0 if chain.residual is None else float(self._read(layer.reads[1]).gamma)
        correction = self._correction(layer)
        bias = chain.bias if correction is None else chain.bias + correction
        finest = smallest_step(self._steps[chain.anchor] * chain.scale, residual_gamma, bias, self._hardware)
        if chain.function is not None and chain.argument is not None:
            absmax = self._ranges[chain.argument].absmax
            table = table_of(chain.function, absmax, finest, self._hardware)
            finest = smallest_step(np.array([table.value]), 0.0, np.zeros(1), self._hardware)
        return finest

    def _gamma_for(self, layer: QuantizedLayer, finest: float) -> np.float32:
        """Of a layer's result, whose unit is at least `finest`."""
        reading = self._requantized[layer.chain.output]
        encoding = self._encodings[reading]
        wanted = output_gamma(encoding.limit, encoding.format, finest, self._hardware)
        return self._common(reading, wanted)

    def _correction(self, layer: QuantizedLayer) -> Any:
        """What is added to the layer's result, float32[K]; None if nothing is."""
        chosen = self._weights.get(layer.name)
        return None if chosen is None else chosen.bias_correction
