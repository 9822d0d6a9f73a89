"""Coarse scales of rows of known sum, so coarse that their products fit accumulators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tvm_vsq.graph import static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.layers.rows import row_total
from tvm_vsq.layers.steps import activation_gamma
from tvm_vsq.numerics import accumulator_bound, row_product_bound
from tvm_vsq.quantize.activations.encodings import Encoding
from tvm_vsq.quantize.plan import Plan, QuantizedLayer, Reading

_STEP = 2**0.25
"""What a limit grows by at a time."""


def with_room(
    plan: Plan, encodings: Mapping[Reading, Encoding], values: Mapping[Any, Any], hardware: HardwareConfig
) -> dict[Reading, Encoding]:
    """`encodings`, where limits of probabilities are raised as far as the accumulators of what reads them ask
    for: where all of a row are small, each has a large part of its limit, and all together sum up to more.

    values: the calls of the fp32 function, by variable. Where a limit of 1, which all probabilities keep,
    does not do, nothing changes.
    """
    found = dict(encodings)
    for layer in plan.layers:
        total = row_total(values.get(layer.x)) if layer.has_second_operand else None
        if total is None:
            continue
        row, second = layer.roles["x"], layer.roles["second"]
        limit = found[row].limit
        while limit < total and not _fits(
            layer, total, replace(found[row], limit=limit), found[second], hardware
        ):
            limit *= _STEP
        if limit < total:
            found[row] = replace(found[row], limit=limit)
    return found


def _fits(
    layer: QuantizedLayer, total: float, row: Encoding, second: Encoding, hardware: HardwareConfig
) -> bool:
    numbers, (x, other) = static_shape(layer.x)[-1], (row.format, second.format)
    shift = layer.formats.product_shift if other.scale_width else 0
    bits = layer.formats.product_bits if other.scale_width else x.scale_width
    known = row_product_bound(
        total,
        numbers,
        x,
        float(activation_gamma(row.limit, x)),
        other,
        shift,
        hardware.guard_bits,
        hardware.multiplier_bits,
    )
    bound = min(accumulator_bound(x.vectors(numbers), other, x, shift, bits), known)
    return bound < 1 << (hardware.accumulator_bits - 1)
