"""Factors of channels that no layer's weights can hold, as depthwise convolutions of one pixel."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.graph import (
    bindings,
    constant,
    constant_array,
    is_constant,
    op_name,
    static_shape,
    tensors,
)
from tvm_vsq.network import LayerRebuilder, source_of
from tvm_vsq.tvm_compat import IRModule, Var


def scales_to_depthwise(module: IRModule) -> IRModule:
    """`x * scale`, a constant for each channel of an image behind a layer with weights, becomes a layer too.

    A batch norm in front of an activation function is one, as DenseNet has behind concatenations; what is
    added, and the function, then are that layer's bias and clamp. Inputs of the network stay the host's.
    """
    return _ScalesToDepthwise(module).rebuilt()


class _ScalesToDepthwise(LayerRebuilder):
    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        self._count = 0
        self._behind: set[Var] = set()
        for binding in bindings(module["main"]):
            source = source_of(binding.value)
            is_layer = source is not None and source.weights is not None
            keeps_layout = op_name(binding.value) != "relax.permute_dims"
            if is_layer or (keeps_layout and not self._behind.isdisjoint(tensors(binding.value))):
                self._behind.add(binding.var)

    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.multiply" or var not in self._behind:
            return value
        at = 0 if is_constant(value.args[0]) else 1
        x, scale = value.args[1 - at], value.args[at]
        shape = static_shape(var)
        if not is_constant(scale) or len(shape) != 4 or static_shape(x) != shape:
            return value
        array, channels = constant_array(scale), shape[-1]
        is_per_channel = array.size == channels > 1 and array.shape[-1] == channels
        if array.dtype != "float32" or not is_per_channel:
            return value
        name = f"scale_{self._count}"
        self._count += 1
        weights = constant(array.reshape(channels, 1, 1, 1))
        return self.layer(
            relax.op.nn.conv2d(
                x,
                weights,
                groups=channels,
                data_layout="NHWC",
                kernel_layout="OHWI",
                out_layout="NHWC",
            ),
            name,
        )
