"""The layers of a fake-quantized graph that become integer operators on an accelerator."""

from __future__ import annotations

from tvm_vsq.errors import ConfigError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.layers.node import Node
from tvm_vsq.layers.reader import read_nodes
from tvm_vsq.transform.check_weights import check_weights
from tvm_vsq.tvm_compat import IRModule


def fusable_nodes(module: IRModule, hardware: HardwareConfig) -> list[Node]:
    """In program order.

    Raises QuantizationError where a vsq.quantize and its vsq.dequantize disagree, ConfigError for guard bits
    other than those of `hardware`, and for weights that are not of the format that the module says.
    """
    nodes = [node for node in read_nodes(module, hardware.formats.weight) if node.is_fusable]
    for node in nodes:
        _check_guard_bits(node, hardware)
        if node.weights is not None:
            check_weights(node.name, node.weights.vectors, node.weights.format)
    return nodes


def _check_guard_bits(node: Node, hardware: HardwareConfig) -> None:
    for tensor in (node.x, node.residual, node.other, node.output):
        if tensor is not None and tensor.guard_bits != hardware.guard_bits:
            raise ConfigError(
                f"'{tensor.vectors.name}' is quantized with guard_bits={tensor.guard_bits}, but target "
                f"'{hardware.label}' is built with guard_bits={hardware.guard_bits}; quantize the model for "
                f"this target"
            )
