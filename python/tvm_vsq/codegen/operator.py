"""Read one vsq.* call that is a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.codegen.constants import (
    param_records,
    table_records,
    weight_digits,
    weight_records,
    wide_records,
)
from tvm_vsq.codegen.emit import PostOp
from tvm_vsq.codegen.forms import OWN, Form
from tvm_vsq.codegen.layer import Layer
from tvm_vsq.codegen.lowering import Lowering
from tvm_vsq.errors import ProgramError
from tvm_vsq.formats import OUTPUT
from tvm_vsq.graph import constant_array, is_constant, op_name, static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.registry import NAMES, aspects
from tvm_vsq.schedule import Workload, nest_of
from tvm_vsq.schedule.depthwise import Depthwise
from tvm_vsq.schedule.digits import Digits, with_digits
from tvm_vsq.schedule.table import WithTable

_NUMBERS = (
    "product_shift",
    "product_bits",
    "relu",
    "res_mult",
    "res_shift",
    "wide",
    *OUTPUT.names,
    "guard_bits",
    "act_signed",
    "res_signed",
)


def read_layer(
    call: Any,
    operands: list[Any],
    result: str,
    hardware: HardwareConfig,
    forms: Mapping[str, Form],
    is_second: bool | None = None,
) -> Layer:
    """The layer of `call`, which writes the tensor `result`, for layers that read it in place of weights, or
    not, or of which nothing is known (None).

    operands: in the order of the call's, constants or the names of tensors, which have these `forms`.
    ProgramError if it is no layer, if weights or parameters are no constants, or for number formats that the
    hardware has not.
    """
    op = NAMES.get(op_name(call))
    if op is None:
        raise ProgramError(f"operator {call.op} cannot run on the accelerator; known are {', '.join(NAMES)}")
    lowering, attrs = aspects("lower", Lowering)[op], dict(call.attrs)
    if lowering.rows is not None:
        return _read_rows(op, lowering, call, operands, result, hardware, is_second)
    layer = str(attrs["layer"])
    x, *others = operands
    other, others = (others[:1], others[1:]) if lowering.has_other else ([], others)
    weights, (params, *residual) = (others[:1], others[1:]) if lowering.weights else ([], others)
    if not all(map(is_constant, [*weights, params])):
        raise ProgramError(
            f"layer '{layer}': weights and params must be constants; bind them before partitioning"
        )
    values = {name: int(attrs[name]) for name in _NUMBERS}
    lanes = static_shape(call.args[0])[-1]
    form = _form(values, attrs.get("out_scales", ()), layer, lanes, hardware, is_second)
    table = residual.pop() if residual and is_constant(residual[0]) else None
    inputs = {
        "inp": x,
        **({"wgt" if lowering.other_is_second else "other": other[0]} if other else {}),
        **({"res": residual[0]} if residual else {}),
    }
    counts = {operand: forms[tensor].digits for operand, tensor in inputs.items()}
    constants = {"par": param_records(constant_array(params), hardware)}
    work: Workload = lowering.workload(call, bool(residual), hardware)
    if lowering.weights:
        rows = lowering.weights(constant_array(weights[0]), call, hardware)
        counts["wgt"] = weight_digits(rows, hardware)
        _check_weights(layer, counts["wgt"], hardware)
        along_taps = isinstance(work, Depthwise)
        constants["wgt"] = weight_records(rows, hardware, counts["wgt"], along_taps)
    if isinstance(work, Depthwise):
        _check_windows(layer, counts, hardware)
    workload = with_digits(work, Digits(**counts, out=form.digits))
    if table is not None:
        workload = WithTable(workload)
        constants |= _table_constants(constant_array(table), static_shape(params)[0], attrs, hardware)
    given = int(attrs.get("channels", 0)) or workload.padded_channels(hardware)[0]
    return Layer(
        name=layer,
        op=op,
        workload=workload,
        post=replace(
            _post(values, bool(residual), not int(attrs.get("other_signed", 1))),
            form=form,
            unscaled=_is_unscaled(values, hardware),
            transposed=bool(int(attrs.get("transposed", 0))),
        ),
        channels=(given, static_shape(params)[0]),
        constants=constants,
        inputs=inputs,
        result=result,
    )


def _read_rows(
    op: str,
    lowering: Lowering,
    call: Any,
    operands: list[Any],
    result: str,
    hardware: HardwareConfig,
    is_second: bool | None,
) -> Layer:
    """Of an operator on rows of accumulators: (x[, tables], params[, other])."""
    attrs = dict(call.attrs)
    layer = str(attrs["layer"])
    x, *others = operands
    tables, (params, *other) = (others[:1], others[1:]) if lowering.has_tables else ([], others)
    if not all(map(is_constant, (*tables, params))):
        raise ProgramError(
            f"layer '{layer}': tables and params must be constants; bind them before partitioning"
        )
    values = {name: int(attrs[name]) for name in _NUMBERS}
    lanes_of_vector = int(attrs["vector_size"]) + 1
    form = _form(values, attrs.get("out_scales", ()), layer, lanes_of_vector, hardware, is_second)
    channels, lanes = static_shape(call.args[0])[-1], hardware.output_lanes
    segments = [constant_array(each) for each in tables]
    looked_up = [table for each in segments for table in each.reshape(-1, *each.shape[-2:])]
    constants = {f"tab{i}": table_records(table, hardware) for i, table in enumerate(looked_up)}
    program = lowering.rows(attrs, bool(other)) if lowering.rows else None
    loaded = [each for each in other if not is_constant(each)]
    workload = lowering.workload(call, bool(other), hardware)
    for each in filter(is_constant, other):
        place = nest_of(workload, hardware).operand[lowering.added]
        constants[lowering.added] = wide_records(constant_array(each), place.extents[:3], hardware)
    return Layer(
        name=layer,
        op=op,
        workload=with_digits(workload, Digits(out=form.digits)),
        post=replace(
            _post(values, False, False),
            rows=program,
            last_lanes=channels - (channels - 1) // lanes * lanes,
            form=form,
        ),
        channels=(channels, channels),
        constants={"par": param_records(constant_array(params), hardware), **constants},
        inputs={"inp": x, **({lowering.added: loaded[0]} if loaded else {})},
        result=result,
    )


def _table_constants(
    table: npt.NDArray[np.int32], channels: int, attrs: Mapping[str, Any], hardware: HardwareConfig
) -> dict[str, npt.NDArray[Any]]:
    """The table, and the parameters with which its values are post-processed; those of padding are 0."""
    row = [int(attrs["tab_mult"]), int(attrs["tab_shift"]), 0, (1 << 31) - 1]
    return {
        "tab": table_records(table, hardware),
        "par2": param_records(np.tile(np.array(row, np.int32), (channels, 1)), hardware),
    }


def _post(values: Mapping[str, int], has_residual: bool, other_unsigned: bool) -> PostOp:
    return PostOp(
        relu=bool(values["relu"]),
        res_mult=values["res_mult"],
        res_shift=values["res_shift"],
        act_unsigned=not values["act_signed"],
        res_unsigned=has_residual and not values["res_signed"],
        out_unsigned=not values["wide"] and not values["out_signed"],
        other_unsigned=other_unsigned,
    )


def _check_weights(layer: str, digits: int, hardware: HardwareConfig) -> None:
    if digits > hardware.precision_passes:
        raise ProgramError(
            f"layer '{layer}': its weights need {digits} digits of {hardware.weight_bits} bits, but "
            f"accelerator '{hardware.label}' has precision_passes={hardware.precision_passes}; give the "
            f"layer a narrower format, or quantize the model for this accelerator"
        )


def _check_windows(layer: str, digits: Mapping[str, int], hardware: HardwareConfig) -> None:
    """Depthwise convolutions read vectors of a channel group, and those of a filter, side by side."""
    size, lanes = hardware.vector_size, hardware.output_lanes
    for operand, is_apart, side in (("inp", size < lanes, "activation"), ("wgt", size > lanes, "weight")):
        if digits[operand] > 1 and is_apart:
            bits = getattr(hardware, f"{side}_bits")
            raise ProgramError(
                f"layer '{layer}': depthwise convolutions on accelerator '{hardware.label}', with "
                f"vector_size={size} and output_lanes={lanes}, take {side} elements of {bits} bits and no "
                f"more; give the layer a narrower format, or vector_size and output_lanes the same value"
            )


def _is_unscaled(values: Mapping[str, int], hardware: HardwareConfig) -> bool:
    """Whether products have no scales, though the array has."""
    return not values["product_bits"] and hardware.product_bits > 0


def _form(
    values: dict[str, int],
    out_scales: Any,
    layer: str,
    lanes: int,
    hardware: HardwareConfig,
    is_second: bool | None,
) -> Form:
    """That of the result. Rounding is baked into the hardware; a call made for another one would compute
    something else.
    """
    if out_scales and set(map(int, out_scales)) != {1}:
        raise ProgramError(
            f"layer '{layer}': its result has static vector scales, but accelerator '{hardware.label}' takes "
            f"each from the vector's own content; use activation_scales='dynamic'"
        )
    found = {**values, "vector_size": lanes - 1}
    expected: dict[str, int] = {"vector_size": hardware.vector_size}
    if not _is_unscaled(values, hardware):
        expected["product_shift"] = hardware.product_shift
        if hardware.product_shift:
            expected["product_bits"] = hardware.product_bits
    if not values["wide"]:
        expected["guard_bits"] = hardware.guard_bits
    for name, value in expected.items():
        if found[name] != value:
            raise ProgramError(
                f"layer '{layer}': {name}={found[name]}, but accelerator '{hardware.label}' has {value}; "
                f"quantize the model for this accelerator"
            )
    if values["wide"]:
        return OWN
    fmt = OUTPUT.read(values, hardware.vector_size)
    if out_scales:
        if is_second is None:
            is_second = fmt == hardware.formats.second_record
        fmt = replace(fmt, scale_bits=None)
    return Form.of(fmt, is_second, hardware, f"layer '{layer}': its result")
