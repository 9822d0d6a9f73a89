"""From the canonical fp32 graph to the fake-quantized graph."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from tvm_vsq.errors import CalibrationError, VsqWarning
from tvm_vsq.graph import definitions
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.quantize.absorb_clips import absorb_clips
from tvm_vsq.quantize.activations.encodings import choose_encodings
from tvm_vsq.quantize.activations.formats import reading_format
from tvm_vsq.quantize.activations.room import with_room
from tvm_vsq.quantize.activations.share_limits import share_limits
from tvm_vsq.quantize.activations.shared_scales import with_one_limit, with_one_sign
from tvm_vsq.quantize.activations.signs import Signs
from tvm_vsq.quantize.align import align_moves
from tvm_vsq.quantize.apply_functions import functions_as_layers
from tvm_vsq.quantize.calibration import Range, calibrate
from tvm_vsq.quantize.config import QuantConfig
from tvm_vsq.quantize.copies import copy_shared
from tvm_vsq.quantize.groups import split_groups
from tvm_vsq.quantize.insert import insert_quantization
from tvm_vsq.quantize.open_rows import open_rows
from tvm_vsq.quantize.own_layers import give_own_layers
from tvm_vsq.quantize.pack import pack_inputs
from tvm_vsq.quantize.pads import pads_to_layers
from tvm_vsq.quantize.plan import Plan, QuantizedLayer, make_plan
from tvm_vsq.quantize.reorder import reorder_channels
from tvm_vsq.quantize.unify import unified
from tvm_vsq.quantize.weights.layer_weights import choose_weights
from tvm_vsq.quantize.wide_residuals import widen_residuals
from tvm_vsq.quantize.wide_streams import widen_streams
from tvm_vsq.tvm_compat import IRModule, Var


def prepare(module: IRModule, config: QuantConfig, hardware: HardwareConfig, data: Any) -> IRModule:
    """The canonical fp32 module whose layers are quantized: `module` without clips and guards that are
    unnecessary then, and without groups, with thin inputs packed and its channels in the order to be.

    What moves data between layers moves whole vectors then, and what follows no layer has one of its own.

    module: from `frontend.import_model`. hardware: as for `quantize_prepared`. data: calibration data
    (`tvm_vsq.quantize.data.batches`), not an iterator.
    """
    module = open_rows(absorb_clips(module, config, data), data)
    module = split_groups(module, config)
    if config.widens_streams:
        module = widen_streams(module)
    if config.widens_residuals:
        module = widen_residuals(module)
    if not config.has_fp32_scales:  # which no accelerator has
        module = pads_to_layers(module, config.vector_size)
        module = give_own_layers(functions_as_layers(module))
        module = copy_shared(align_moves(module, config.vector_size), config, hardware)
    if config.packs_inputs:
        module = pack_inputs(module, config)
    return reorder_channels(module, data) if config.reorders_channels else module


def quantize_prepared(module: IRModule, config: QuantConfig, hardware: HardwareConfig, data: Any) -> IRModule:
    """Calibrate a module from `prepare` on the data, and quantize its layers.

    hardware: for its guard bits, multiplier and scale products; whether it is built for the formats is
    `transform.check_target`'s question.
    The result runs on "llvm" as it is, and is what `transform.fuse` turns into integer layers.
    Raises ConfigError for a rule that matches no layer, CalibrationError for bad data, and
    QuantizationError if the model has no layer to quantize.
    """
    plan = unified(make_plan(module, config, hardware), hardware)
    _warn_of_rounded_products(plan, hardware)
    return quantize_calibrated(module, plan, calibrated_ranges(module, plan.points, data), data, hardware)


def calibrated_ranges(module: IRModule, points: list[Var], data: Any) -> dict[Var, Range]:
    """`calibrate`, for data that vary; CalibrationError for a constant."""
    params = list(module["main"].params)
    ranges = calibrate(module, [*points, *params], data)
    _require_variety([ranges[param] for param in params])
    return ranges


def quantize_calibrated(
    module: IRModule, plan: Plan, ranges: Mapping[Var, Range], data: Any, hardware: HardwareConfig
) -> IRModule:
    """The rest of it, once the layers are chosen and the ranges of `plan.points` known."""
    plan = share_limits(plan, ranges)
    signs = Signs(module["main"])
    formats = {reading: reading_format(reading, ranges, signs) for reading in plan.readings}
    formats = with_one_sign(plan, formats)
    encodings = choose_encodings(module, plan, ranges, formats, data, hardware.guard_bits)
    encodings = with_one_limit(plan, encodings)
    encodings = with_room(plan, encodings, definitions(module["main"]), hardware)
    weights = choose_weights(module, plan, encodings, data, hardware.guard_bits)
    return insert_quantization(module, plan, ranges, encodings, weights, hardware)


def _warn_of_rounded_products(plan: Plan, hardware: HardwareConfig) -> None:
    """Vectors along tokens have scales of 1 if they are cached, the products of which rounding loses."""
    rounded = [layer for layer in plan.layers if layer.along_tokens and layer.formats.product_shift]
    if rounded:
        shift, bits = rounded[0].formats.product_shift, hardware.product_bits
        warnings.warn(
            f"attention='cached' gives the values of {_named(rounded)} vector scales of 1, and target "
            f"'{hardware.label}' drops the lowest {shift} bits of products of scales "
            f"(scale_product_bits={bits}): most of what they say is lost; use a target that keeps them whole",
            VsqWarning,
            stacklevel=2,
        )


def _named(layers: Sequence[QuantizedLayer]) -> str:
    names = [f"'{layer.name}'" for layer in layers]
    more = f" and {len(names) - 3} more layers" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _require_variety(inputs: list[Range]) -> None:
    if all(found.min == found.max for found in inputs):
        values = ", ".join(f"{found.min:g}" for found in inputs)
        raise CalibrationError(
            f"calibration data are constant (every value of each input is {values}), so the ranges that "
            f"they give mean nothing; give samples like those of later use"
        )
