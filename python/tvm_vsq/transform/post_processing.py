"""Turns a layer's real scales, bias and bounds into the integers of the post-processing unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import QuantizationError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.graph import static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.layers.functions import Function
from tvm_vsq.layers.node import Node
from tvm_vsq.layers.steps import accumulator_steps, smallest_step, wide_step
from tvm_vsq.layers.tables import table_of
from tvm_vsq.layers.weightless import (
    product_bound,
    product_rounding,
    weightless_bound,
    weightless_misfit,
    weightless_steps,
)
from tvm_vsq.numerics import check_accumulator, check_sum_of_taps, fixed_point, row_product_bound

_INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class PostProcessing:
    """params: int32[K, 4] of (mult, shift, bias, clip). step: what one unit of the int32 result is worth.

    table: the segments of the layer's function, whose arguments these parameters make; tab_mult, tab_shift:
    the factor of its values.
    """

    params: npt.NDArray[np.int32]
    res_mult: int
    res_shift: int
    step: np.float32
    table: npt.NDArray[np.int32] | None = None
    tab_mult: int = 0
    tab_shift: int = 0


def post_processing(node: Node, hardware: HardwareConfig, unit: float | None = None) -> PostProcessing:
    """The constants of `node` (docs/numerics.md, section 5), once its accumulator is proven not to overflow.

    unit: what a step of its wide result has to be worth, where rows are made of it.
    Raises QuantizationError naming the layer if the accumulator, a factor or a bias does not fit.
    """
    bound = _accumulator_bound(node, hardware)
    steps = _steps(node, hardware)
    if node.chain.function is not None:
        return _with_function(node, node.chain.function, steps, bound, hardware)
    step = np.float32(unit) if unit is not None else _result_step(node, steps, bound, hardware)
    params = _parameters(node, steps, float(step), hardware)
    if node.residual is None:
        return PostProcessing(params, 0, 0, step)
    res_mult, res_shift = fixed_point(
        [node.residual.gamma / float(step)], hardware.multiplier_bits, node.name
    )
    return PostProcessing(params, int(res_mult[0]), int(res_shift[0]), step)


def _with_function(
    node: Node, function: Function, steps: npt.NDArray[Any], bound: int, hardware: HardwareConfig
) -> PostProcessing:
    """What makes arguments of accumulators, and results of values."""
    finest = smallest_step(steps, 0.0, node.chain.bias, hardware)
    absmax = node.argument_absmax
    if absmax is None:  # a module quantized elsewhere: what accumulators can reach
        absmax = float(steps.max(initial=0.0)) * bound
    table = table_of(function, absmax, finest, hardware)
    params = _parameters(node, steps, table.argument, hardware)
    if node.output is not None:
        step = np.float32(node.output.gamma / 2.0**hardware.guard_bits)
    else:
        largest = float(np.abs(table.segments[:, 0]).max()) * table.value
        finest = smallest_step(np.array([table.value]), 0.0, np.zeros(1), hardware)
        step = wide_step(node.output_absmax or largest, finest)
    mult, shift = fixed_point([table.value / float(step)], hardware.multiplier_bits, node.name)
    return PostProcessing(params, 0, 0, step, table.segments, int(mult[0]), int(shift[0]))


def _parameters(
    node: Node, steps: npt.NDArray[Any], step: float, hardware: HardwareConfig
) -> npt.NDArray[np.int32]:
    """int32[K, 4], for results of which one unit is worth `step`."""
    return parameters(node.name, steps, node.chain.bias, node.chain.clip, step, hardware)


def parameters(
    layer: str,
    steps: npt.NDArray[Any],
    bias: npt.NDArray[Any],
    clip: float,
    step: float,
    hardware: HardwareConfig,
) -> npt.NDArray[np.int32]:
    """int32[K, 4] of what multiplies, shifts, is added and bounds, for results of which one unit is worth
    `step`.

    Raises QuantizationError naming the layer if a factor or a bias does not fit.
    """
    mult, shift = fixed_point(np.abs(steps) / float(step), hardware.multiplier_bits, layer)
    units = np.rint(bias / float(step))
    if np.abs(units).max(initial=0) > _INT32_MAX:
        channel = int(np.abs(units).argmax())
        raise QuantizationError(
            f"layer '{layer}': the bias {bias[channel]:g} of channel {channel} is "
            f"{units[channel]:g} steps of {float(step):g}, which does not fit int32; raise the output's "
            "calibrated range"
        )
    bound = min(float(np.rint(clip / float(step))), _INT32_MAX)
    signed = np.where(steps < 0, -mult, mult)
    return np.stack([signed, shift, units, np.full(len(mult), bound)], axis=1).astype(np.int32)


def _steps(node: Node, hardware: HardwareConfig) -> npt.NDArray[Any]:
    """float64[K]: what one step of each accumulator is worth in the result."""
    return _accumulated_steps(node, hardware) * node.chain.scale


def _accumulated_steps(node: Node, hardware: HardwareConfig) -> npt.NDArray[Any]:
    if node.weights is None:
        gamma = node.x.gamma
        if node.has_second_operand and node.other is not None:
            shift = node.formats(hardware).product_shift
            return np.full(static_shape(node.call)[-1], gamma * node.other.gamma * 2.0**shift)
        if node.other is not None:
            rounding = product_rounding(node.x.format, node.other.format, hardware)
            gamma *= node.other.gamma * 2.0**rounding
        return weightless_steps(node.call, gamma)
    weights = node.weights
    shift = 0 if weights.along_taps else node.formats(hardware).product_shift
    return accumulator_steps(weights.vectors, weights.gamma, node.x.gamma, shift)


def result_step(node: Node, hardware: HardwareConfig) -> np.float32:
    """What one unit of the result of a layer without a function is worth. Raises as `post_processing`."""
    return _result_step(node, _steps(node, hardware), _accumulator_bound(node, hardware), hardware)


def _accumulator_bound(node: Node, hardware: HardwareConfig) -> int:
    if node.has_second_operand and node.other is not None:
        formats, vectors = node.formats(hardware), node.x.format.vectors(node.channels)
        product = (formats.product_shift, formats.product_bits)
        return check_accumulator(
            node.name,
            vectors,
            node.other.format,
            node.x.format,
            *product,
            hardware.accumulator_bits,
            known=_bound_of_rows(node, node.other.format, hardware),
        )
    if node.weights is None:
        misfit = weightless_misfit(node.call, node.x.format, hardware)
        if misfit:
            raise QuantizationError(f"layer '{node.name}': {misfit}")
        if node.other is not None:
            return product_bound(node.x.format, node.other.format, hardware)
        return weightless_bound(node.call, node.x.format)
    formats = node.formats(hardware)
    if node.weights.along_taps:
        return check_sum_of_taps(
            node.name, node.weights.vectors, node.x.format, hardware.product_bits, hardware.accumulator_bits
        )
    vectors = int(np.prod(node.weights.vectors.shape[1:-1]))
    product = (formats.product_shift, formats.product_bits)
    return check_accumulator(
        node.name,
        vectors,
        formats.weight,
        node.x.format,
        *product,
        hardware.accumulator_bits,
        node.weights.vectors,
    )


def _bound_of_rows(node: Node, second: VectorFormat, hardware: HardwareConfig) -> int | None:
    if node.x.total is None:
        return None
    return row_product_bound(
        node.x.total,
        node.channels,
        node.x.format,
        node.x.gamma,
        second,
        node.formats(hardware).product_shift,
        node.x.guard_bits,
        hardware.multiplier_bits,
    )


def _result_step(node: Node, steps: npt.NDArray[Any], bound: int, hardware: HardwareConfig) -> np.float32:
    if node.output is not None:
        return np.float32(node.output.gamma / 2.0**hardware.guard_bits)
    residual_gamma = 0.0 if node.residual is None else node.residual.gamma
    finest = smallest_step(steps, residual_gamma, node.chain.bias, hardware)
    if node.output_absmax is not None:
        return wide_step(node.output_absmax, finest)
    # a module quantized elsewhere: nothing is known about the result but the proven bound of its accumulator
    return np.float32(max(finest, float(steps.max(initial=0.0)) * bound / 2.0**30))
