"""A quantized network as a torch module: evaluation at torch's speed, and quantization-aware training."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tvm_vsq.deprecated import once_second
from tvm_vsq.errors import CalibrationError, QuantizationError, phase
from tvm_vsq.formats import is_notation
from tvm_vsq.hardware import HardwareConfig, load_hardware
from tvm_vsq.importing import import_checked
from tvm_vsq.quantize.config import QuantConfig
from tvm_vsq.quantize.data import rereadable
from tvm_vsq.quantize.plan import make_plan
from tvm_vsq.quantize.quantizer import prepare, quantize_prepared
from tvm_vsq.quantize.weights.layer_weights import float_weights
from tvm_vsq.threads import compiling

if TYPE_CHECKING:
    from torch import nn


@once_second("quant", lambda value: isinstance(value, QuantConfig) or is_notation(value))
@compiling
@phase("quantizing the model", QuantizationError)
def fake_quantize(
    model: Any,
    target: str | os.PathLike[str] | HardwareConfig = "vsq-accel",
    *,
    example_inputs: Any = None,
    quant: str | QuantConfig | None = None,
    calibration: Any = None,
    check_import: bool = True,
) -> nn.Module:
    """`model`, quantized, as a torch.nn.Module (`FakeQuantized`) in eval mode.

    quant: W/A/ws/as or a QuantConfig, by default what `target` is built for. Any formats and rules are
        evaluated, those of other accelerators too: then as on `target` with these formats, which rounds
        products of scales as `target` does, and not as a target that is built for them may.
    model, example_inputs, calibration, check_import: as for `tvm_vsq.compile`.

    "fp32" scales ("4/4/fp/fp") have no integers and run on no accelerator: the module then evaluates them in
    floating point (`Fp32Scales`), with weights rounded to nearest by their maximum (GPTQ and bias correction
    do not apply), and has no parameters. Calibration data only choose the order of channels
    (`QuantConfig.channel_order`); without, it is the model's.

    Raises ConfigError, ModelError, CalibrationError and QuantizationError as compilation does.
    """
    hardware = load_hardware(target)
    config = QuantConfig.of(quant, hardware)
    module = import_checked(model, example_inputs, check_import)
    # torch takes a second to import, which only those pay who call this
    if config.has_fp32_scales:
        from tvm_vsq.torch_module.fp32_scales import Fp32Scales

        if calibration is not None:
            module = prepare(module, config, hardware, rereadable(calibration))
        return Fp32Scales(module, config)
    if calibration is None:
        raise CalibrationError(
            "calibration data are missing: give calibration= (tvm-vsq: --calibration), some tens of samples"
        )
    from tvm_vsq.torch_module.fake_quantized import FakeQuantized

    hardware = config.hardware(hardware)
    data = rereadable(calibration)
    module = prepare(module, config, hardware, data)
    quantized = quantize_prepared(module, config, hardware, data)
    weights = {
        layer.name: float_weights(module, layer)
        for layer in make_plan(module, config, hardware).layers
        if layer.has_weights
    }
    return FakeQuantized(quantized, hardware, weights).eval()
