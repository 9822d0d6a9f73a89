"""Fits integers to a network: the canonical fp32 graph, a `QuantConfig` and calibration data come in; the
same graph with vsq.quantize / vsq.dequantize around its layers goes out, which `transform` makes integer
layers.

`plan` says which layers are quantized to what, `activations` how each tensor that they read is encoded,
`weights` which integers stand for their weights, `insert` writes it all into the graph; `quantizer` is
the order of the steps. Nothing here runs a quantized network, or judges it: see `torch_module` and
`study`.
"""

from tvm_vsq.quantize.calibration import Range, calibrate
from tvm_vsq.quantize.config import LayerConfig, QuantConfig, Rule

__all__ = ["LayerConfig", "QuantConfig", "Range", "Rule", "calibrate"]
