"""vsq.layer_norm: rows of int32 normalized (docs/numerics.md, sections 5 and 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from tvm import relax

from tvm_vsq.formats.rows import Normalization
from tvm_vsq.relax_ops.checks import argument_count, attribute, integer, read_attributes
from tvm_vsq.relax_ops.epilogue import Epilogue
from tvm_vsq.relax_ops.epilogue_te import epilogue_te
from tvm_vsq.relax_ops.layer_operator import LayerOperator
from tvm_vsq.relax_ops.register import register_op
from tvm_vsq.relax_ops.row_operands import check_rows, vector_size
from tvm_vsq.relax_ops.rows_te import normalize_te, sum_te
from tvm_vsq.tvm_compat import Call, Expr, Op

_NAME = "vsq.layer_norm"
_RANGES = {
    "centered": (0, 1),
    "square_shift": (0, 62),
    "epsilon": (0, (1 << 31) - 1),
    "exponent": (8, 62),
    "mean_mult": (0, (1 << 16) - 1),
    "mean_shift": (0, 62),
}


def layer_norm(
    x: Expr,
    table: Expr,
    params: Expr,
    other: Expr | None = None,
    *,
    how: Normalization,
    layer: str,
    vector_size: int,
    **epilogue: Any,
) -> Call:
    """Rows of `x` int32[..., K], to which `other` (with 1 where it is repeated) is added first, normalized.

    `table` int32[128, 2] is of 1 / sqrt, `params` int32[K, 4] holds (mult, shift, bias, clip) of each
    element, mult with its sign; `epilogue` takes the fields of `Epilogue`. The result is int16[...,
    ceil(K/V), V+1], V = `vector_size`, or int32[..., K] with wide=1.
    Raises OperatorError naming the layer and the argument or attribute at fault.
    """
    arguments = [x, table, params] if other is None else [x, table, params, other]
    own = {**{name: int(value) for name, value in asdict(how).items()}, "vector_size": vector_size}
    return Call(Op.get(_NAME), arguments, {**own, **Epilogue.build(layer, epilogue).attributes()})


def normalization_of(attributes: Mapping[str, Any], where: str = _NAME) -> Normalization:
    """How a call with these attributes normalizes."""
    values = {
        field.name: integer(where, field.name, attribute(where, attributes, field.name), *_RANGES[field.name])
        for field in fields(Normalization)
    }
    return Normalization(bool(values.pop("centered")), **values)


def _infer_type(call: Call, _context: relax.BlockBuilder) -> relax.TensorType:
    name = str(call.op.name)
    argument_count(name, call, (3, 4))
    epilogue = Epilogue.read(name, read_attributes(call))
    where = f"layer '{epilogue.layer}' ({name})"
    normalization_of(read_attributes(call), where)
    return check_rows(where, call, epilogue, [])


def _legalize(builder: relax.BlockBuilder, call: Call) -> Expr:
    name, attributes = str(call.op.name), read_attributes(call)
    epilogue, size = Epilogue.read(name, attributes), vector_size(name, call)
    how = normalization_of(attributes, name)

    def compute(x: Any, table: Any, params: Any, other: Any = None) -> Any:
        return epilogue_te(normalize_te(sum_te(x, other), table, how), params, None, epilogue, size)

    return builder.call_te(compute, *call.args, primfunc_name_hint=name.replace(".", "_"))


def normalizing(name: str) -> LayerOperator:
    """The operator `name`, which normalizes as its attributes say."""
    op = register_op(name, "Rows of integers normalized, with post-processing.", _infer_type, _legalize)

    def from_source(_call: Any, operands: Sequence[Any], attributes: dict[str, Any]) -> Call:
        call = layer_norm(*operands, **attributes)
        return Call(op, call.args, call.attrs)

    return LayerOperator(has_weights=True, from_source=from_source, on_rows=True)


RELAX = normalizing(_NAME)
