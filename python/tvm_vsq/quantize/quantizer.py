"""From the canonical fp32 graph to the fake-quantized graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tvm_vsq.errors import QuantizationError
from tvm_vsq.frontend.given import given_limits
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.quantize.calibration import Range, calibrate, observe
from tvm_vsq.quantize.config import QuantConfig
from tvm_vsq.quantize.data import rereadable
from tvm_vsq.quantize.formats import tensor_format
from tvm_vsq.quantize.insert import insert_quantization
from tvm_vsq.quantize.limits import choose_limits
from tvm_vsq.quantize.plan import Plan, make_plan
from tvm_vsq.quantize.signs import Signs
from tvm_vsq.tvm_compat import IRModule, Var


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
    # Data may be an iterator, and all methods but "max" look at them twice.
    data = calibration if config.activation_calibration == "max" else rereadable(calibration)
    ranges = calibrate(module, plan.points, data)
    if config.activation_calibration != "max":
        ranges = _clip(module, plan, ranges, data, config, hardware)
    ranges = _with_given_limits(module, plan, ranges)
    return insert_quantization(module, plan, ranges, config, hardware)


def _with_given_limits(module: IRModule, plan: Plan, ranges: dict[Var, Range]) -> dict[Var, Range]:
    """Where the model itself says what a layer's input covers, that is what its coarse scale covers."""
    limits = given_limits(module)
    given = {layer.x: limits[layer.name] for layer in plan.layers if layer.name in limits}
    return {var: replace(found, clip=given.get(var, found.clip)) for var, found in ranges.items()}


def _clip(
    module: IRModule,
    plan: Plan,
    ranges: dict[Var, Range],
    data: Any,
    config: QuantConfig,
    hardware: HardwareConfig,
) -> dict[Var, Range]:
    """Ranges of the tensors that are stored as vectors, with what their coarse scales are to cover."""
    points = [point for point in plan.points if point in plan.quantized]
    signs = Signs(module["main"])
    limits = choose_limits(
        points,
        observe(module, points, data),
        {point: ranges[point].absmax for point in points},
        lambda point: tensor_format(point, ranges, signs, hardware),
        config,
        hardware.guard_bits,
    )
    return {var: replace(found, clip=limits.get(var)) for var, found in ranges.items()}
