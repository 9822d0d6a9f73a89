"""The phases of the pipeline that quantize, by themselves."""

from __future__ import annotations

from typing import Any

from tvm.ir import IRModule

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.pipeline import quantize_phases, run_phases
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.quantize.data import rereadable


def quantize(module: IRModule, config: QuantConfig, hardware: HardwareConfig, calibration: Any) -> IRModule:
    """The fake-quantized form of a module from `import_model`."""
    return run_phases(module, quantize_phases(config, hardware, rereadable(calibration)))
