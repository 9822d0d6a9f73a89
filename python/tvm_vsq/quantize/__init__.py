"""Number formats, calibration, and the pass that inserts vsq.quantize / vsq.dequantize."""

from tvm_vsq.quantize.calibration import Range, calibrate
from tvm_vsq.quantize.config import LayerConfig, QuantConfig, Rule
from tvm_vsq.quantize.fake_quantize import fake_quantize
from tvm_vsq.quantize.quantizer import quantize

__all__ = ["LayerConfig", "QuantConfig", "Range", "Rule", "calibrate", "fake_quantize", "quantize"]
