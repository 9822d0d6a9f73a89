"""From the canonical fp32 graph to the fake-quantized graph."""

from __future__ import annotations

from typing import Any

from tvm_vsq.errors import QuantizationError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.quantize.calibration import calibrate
from tvm_vsq.quantize.config import QuantConfig
from tvm_vsq.quantize.insert import insert_quantization
from tvm_vsq.quantize.plan import make_plan
from tvm_vsq.tvm_compat import IRModule


def quantize(module: IRModule, config: QuantConfig, hardware: HardwareConfig, calibration: Any) -> IRModule:
    """Calibrate `module` on the data, and quantize its convolutions and linear layers.

    module: from `frontend.import_model`. calibration: see `tvm_vsq.quantize.data.batches`.
    The result runs on "llvm" as it is, and is what `transform.fuse` turns into integer layers.
    Raises ConfigError if `hardware` is not built for `config`, CalibrationError for bad data, and
    QuantizationError if the model has no layer to quantize.
    """
    config.check_hardware(hardware)
    plan = make_plan(module)
    if not plan.layers:
        raise QuantizationError(
            "the model has no layer the accelerator can run (a convolution with groups=1, or a linear "
            "layer, with constant weights); compile it with TVM alone"
        )
    return insert_quantization(module, plan, calibrate(module, plan.points, calibration), config, hardware)
