"""Read one vsq.* call that is a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.codegen.constants import param_records, table_records, weight_records, wide_records
from tvm_vsq.codegen.emit import PostOp
from tvm_vsq.codegen.layer import Layer
from tvm_vsq.codegen.lowering import Lowering
from tvm_vsq.errors import ProgramError
from tvm_vsq.formats import OUTPUT
from tvm_vsq.graph import constant_array, is_constant, op_name, static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.registry import NAMES, aspects
from tvm_vsq.schedule import Workload, nest_of
from tvm_vsq.schedule.clamped import WithClamp
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


_AS_IT_IS = np.array([1, 0, 0, (1 << 31) - 1], np.int32)
"""Parameters that change nothing."""


def read_layer(call: Any, operands: list[Any], result: str, hardware: HardwareConfig) -> Layer:
    """The layer of `call`, which writes the tensor `result`.

    operands: in the order of the call's, constants or the names of tensors. ProgramError if it is no layer,
    if weights or parameters are no constants, or for number formats other than the hardware's.
    """
    op = NAMES.get(op_name(call))
    if op is None:
        raise ProgramError(f"operator {call.op} cannot run on the accelerator; known are {', '.join(NAMES)}")
    lowering, attrs = aspects("lower", Lowering)[op], dict(call.attrs)
    if lowering.rows is not None:
        return _read_rows(op, lowering, call, operands, result, hardware)
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
    _check_formats(values, attrs.get("out_scales", ()), layer, lanes, hardware)
    table = residual.pop() if residual and is_constant(residual[0]) else None
    workload: Workload = lowering.workload(call, bool(residual), hardware)
    constants = {"par": param_records(constant_array(params), hardware)}
    if table is not None:
        workload = WithTable(workload)
        constants |= _table_constants(constant_array(table), static_shape(params)[0], attrs, hardware)
    elif attrs.get("out_scales", ()):
        workload = WithClamp(workload)
        constants["par2"] = param_records(np.tile(_AS_IT_IS, (static_shape(params)[0], 1)), hardware)
    if lowering.weights:
        constants["wgt"] = weight_records(
            lowering.weights(constant_array(weights[0]), call, hardware), hardware
        )
    given = int(attrs.get("channels", 0)) or workload.padded_channels(hardware)[0]
    return Layer(
        name=layer,
        op=op,
        workload=workload,
        post=replace(
            _post(values, bool(residual), not int(attrs.get("other_signed", 1))),
            second=not values["wide"] and _is_second(values, hardware),
            transposed=bool(int(attrs.get("transposed", 0))),
            bound=0 if values["wide"] else OUTPUT.read(attrs, lanes - 1).qmax << hardware.guard_bits,
        ),
        channels=(given, static_shape(params)[0]),
        constants=constants,
        inputs={
            "inp": x,
            **({"wgt" if lowering.other_is_second else "other": other[0]} if other else {}),
            **({"res": residual[0]} if residual else {}),
        },
        result=result,
    )


def _read_rows(
    op: str, lowering: Lowering, call: Any, operands: list[Any], result: str, hardware: HardwareConfig
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
    _check_formats(values, attrs.get("out_scales", ()), layer, int(attrs["vector_size"]) + 1, hardware)
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
        workload=workload,
        post=replace(
            _post(values, False, False),
            rows=program,
            last_lanes=channels - (channels - 1) // lanes * lanes,
            second=not values["wide"] and _is_second(values, hardware),
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


def _is_second(values: Mapping[str, int], hardware: HardwareConfig) -> bool:
    """Whether a result is stored in the form of second operands, which may be that of others, too."""
    written = OUTPUT.write(hardware.formats.second)
    own = OUTPUT.write(hardware.formats.activation.with_sign(True))
    return written != own and all(values[name] == value for name, value in written.items())


def _check_formats(
    values: dict[str, int], out_scales: Any, layer: str, lanes: int, hardware: HardwareConfig
) -> None:
    """Formats are baked into the hardware; a call made for another one would compute something else."""
    is_second = not values["wide"] and _is_second(values, hardware)
    if out_scales and not (values["out_signed"] and set(map(int, out_scales)) == {1}):
        raise ProgramError(
            f"layer '{layer}': its result has static vector scales, but accelerator '{hardware.label}' takes "
            f"each from the vector's own content; use activation_scales='dynamic'"
        )
    expected = {"product_shift": hardware.product_shift}
    found = {**values, "vector_size": lanes - 1}
    expected["vector_size"] = hardware.vector_size
    if hardware.product_shift:
        expected["product_bits"] = hardware.product_bits
    if is_second:
        expected["guard_bits"] = hardware.guard_bits
    elif not values["wide"]:
        expected |= OUTPUT.write(hardware.formats.activation.with_sign(bool(values["out_signed"])))
        expected["guard_bits"] = hardware.guard_bits
    for name, value in expected.items():
        if found[name] != value:
            raise ProgramError(
                f"layer '{layer}': {name}={found[name]}, but accelerator '{hardware.label}' has {value}; "
                f"quantize the model for this accelerator"
            )
