"""Turns a layer's real scales, bias and bounds into the integers of the post-processing unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import QuantizationError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.layers.steps import accumulator_steps, smallest_step, wide_step
from tvm_vsq.numerics import check_accumulator, fixed_point
from tvm_vsq.transform.fusable import FusableLayer

_INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class PostProcessing:
    """params: int32[K, 4] of (mult, shift, bias, clip). step: what one unit of the int32 result is worth."""

    params: npt.NDArray[np.int32]
    res_mult: int
    res_shift: int
    step: np.float32


def post_processing(layer: FusableLayer, hardware: HardwareConfig) -> PostProcessing:
    """The constants of `layer` (docs/numerics.md, section 5), once its accumulator is proven not to overflow.

    Raises QuantizationError naming the layer if the accumulator, a factor or a bias does not fit.
    """
    bound = _accumulator_bound(layer, hardware)
    steps = accumulator_steps(layer.weights, layer.gamma_w, layer.x.gamma, layer.formats.product_shift)
    step = _result_step(layer, steps, bound, hardware)
    mult, shift = fixed_point(steps / float(step), hardware.multiplier_bits, layer.name)
    bias = np.rint(layer.chain.bias / float(step))
    if np.abs(bias).max(initial=0) > _INT32_MAX:
        channel = int(np.abs(bias).argmax())
        raise QuantizationError(
            f"layer '{layer.name}': the bias {layer.chain.bias[channel]:g} of channel {channel} is "
            f"{bias[channel]:g} steps of {float(step):g}, which does not fit int32; raise the output's "
            "calibrated range"
        )
    clip = min(float(np.rint(layer.chain.clip / float(step))), _INT32_MAX)
    params = np.stack([mult, shift, bias, np.full(len(mult), clip)], axis=1).astype(np.int32)
    if layer.residual is None:
        return PostProcessing(params, 0, 0, step)
    res_mult, res_shift = fixed_point(
        [layer.residual.gamma / float(step)], hardware.multiplier_bits, layer.name
    )
    return PostProcessing(params, int(res_mult[0]), int(res_shift[0]), step)


def _accumulator_bound(layer: FusableLayer, hardware: HardwareConfig) -> int:
    vectors = int(np.prod(layer.weights.shape[1:-1]))
    formats = layer.formats
    product = (formats.product_shift, formats.product_bits)
    return check_accumulator(
        layer.name, vectors, formats.weight, layer.x.format, *product, hardware.accumulator_bits
    )


def _result_step(
    layer: FusableLayer, steps: npt.NDArray[Any], bound: int, hardware: HardwareConfig
) -> np.float32:
    if layer.output is not None:
        return np.float32(layer.output.gamma / 2.0**hardware.guard_bits)
    residual_gamma = 0.0 if layer.residual is None else layer.residual.gamma
    finest = smallest_step(steps, residual_gamma, layer.chain.bias, hardware)
    if layer.output_absmax is not None:
        return wide_step(layer.output_absmax, finest)
    # a module quantized elsewhere: nothing is known about the result but the proven bound of its accumulator
    return np.float32(max(finest, float(steps.max(initial=0.0)) * bound / 2.0**30))
