"""Moves dequantization into the layers: fp32 chains between vsq.* tensors become vsq.conv2d / vsq.dense."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq import relax_ops
from tvm_vsq.formats import OUTPUT
from tvm_vsq.frontend.layers import layer_names, with_layer_names
from tvm_vsq.graph import Rebuilder, constant, definitions, op_name, replace_main
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.transform.fusable import FusableLayer, find_layers
from tvm_vsq.transform.post_processing import PostProcessing, post_processing
from tvm_vsq.tvm_compat import IRModule, Var


def fuse(module: IRModule, hardware: HardwareConfig) -> IRModule:
    """Turn every quantized layer of `module` (see `quantize.quantize`) into one integer operator.

    A layer takes its constant bias, a residual that is stored as vectors, ReLU or clip(0, hi), and the
    quantize that follows, if that is the only reader; integers then flow from layer to layer. Otherwise the
    result is wide: int32, cast and scaled to fp32 on the CPU.

    hardware: for its accumulator, multiplier and scale products. The formats are those of the module, layer
    by layer, whatever `hardware` is built for; see `check_target`.
    Raises QuantizationError naming the layer if its numbers do not fit the accumulator, multiplier or bias.
    """
    layers = find_layers(module, hardware)
    function = module["main"]
    remaining = [
        name for var, name in layer_names(module).items() if var not in {layer.anchor for layer in layers}
    ]
    fused = replace_main(module, _Fuse(function, layers, hardware).run())
    fused = relax.transform.DeadCodeElimination()(relax.transform.CanonicalizeBindings()(fused))
    return with_layer_names(fused, remaining)


class _Fuse(Rebuilder):
    def __init__(
        self, function: relax.Function, layers: list[FusableLayer], hardware: HardwareConfig
    ) -> None:
        super().__init__(function)
        self._at = {layer.result: layer for layer in layers}
        self._numbers = {layer.result: post_processing(layer, hardware) for layer in layers}
        self._calls: dict[Var, Any] = definitions(function)
        self._hardware = hardware

    def rewrite(self, var: Var, value: Any) -> Any:
        # the fp32 members of the chain are copied too; nothing reads them any more, so they are removed as
        # dead code
        if var not in self._at:
            return value
        layer = self._at[var]
        numbers = self._numbers[var]
        call = self._call(layer, numbers)
        if layer.output is not None:
            return call
        steps = relax.op.astype(self.emit(call), "float32")
        return relax.op.multiply(self.emit(steps), constant(np.asarray(numbers.step)))

    def _call(self, layer: FusableLayer, numbers: PostProcessing) -> Any:
        formats, output = layer.formats, layer.output
        residual = None if layer.residual is None else self.new(layer.residual.vectors)
        attributes: dict[str, Any] = {
            "layer": layer.name,
            "channels": layer.channels,
            "product_shift": formats.product_shift,
            "product_bits": formats.product_bits,
            "relu": int(layer.chain.relu),
            "res_mult": numbers.res_mult,
            "res_shift": numbers.res_shift,
            "wide": int(output is None),
            "guard_bits": self._hardware.guard_bits,
            "act_signed": int(layer.x.format.signed),
            "res_signed": 1 if layer.residual is None else int(layer.residual.format.signed),
        }
        if output is not None:
            attributes |= {**OUTPUT.write(output.format), "out_scales": output.scales}
        operands = (self.new(layer.x.vectors), constant(layer.weights), constant(numbers.params), residual)
        source = self._calls[layer.anchor]
        if op_name(source) == "relax.matmul":
            return relax_ops.dense(*operands, **attributes)
        strides, padding, dilation = (
            [int(extent) for extent in getattr(source.attrs, name)]
            for name in ("strides", "padding", "dilation")
        )
        return relax_ops.conv2d(*operands, strides=strides, padding=padding, dilation=dilation, **attributes)
