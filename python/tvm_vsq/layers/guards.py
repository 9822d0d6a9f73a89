"""Rows of probabilities that are masked as a whole: what chooses zeros for them behind a product
(`frontend.nan_guards`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm_vsq.graph import constant_array, is_constant, op_name
from tvm_vsq.tvm_compat import Var


def guarded_rows(call: Any, product: Var, values: Mapping[Any, Any]) -> Any:
    """The probabilities that `call`, where(rows, product, 0), guards, if it asks whether their mask leaves
    something of a row, so that zeros in place of them give the same; None if it is something else.
    """
    if op_name(call) != "relax.where" or not call.args[1].same_as(product) or not _is_zero(call.args[2]):
        return None
    test: Any = values.get(_source(call.args[0], values))
    if op_name(test) != "relax.greater" or not _is_zero(test.args[1]):
        return None
    count: Any = values.get(test.args[0])
    if op_name(count) != "relax.sum":
        return None
    probabilities = _before_quantization(values[product].args[0], values)
    rows: Any = values.get(probabilities)
    total: Any = values.get(rows.args[0]) if op_name(rows).startswith("relax.nn.") else None
    if op_name(total) != "relax.add":
        return None
    masks: list[Any] = [values.get(_source(operand, values)) for operand in total.args]
    counted = _source(count.args[0], values)
    fits = any(
        op_name(mask) == "relax.where" and _source(mask.args[0], values).same_as(counted) for mask in masks
    )
    return probabilities if fits else None


def _source(x: Any, values: Mapping[Any, Any]) -> Any:
    """What a mask is, whatever its shape and dtype, and for however many heads."""
    while op_name(values.get(x)) in ("relax.reshape", "relax.astype", "relax.broadcast_to"):
        x = values[x].args[0]
    return x


def _before_quantization(x: Any, values: Mapping[Any, Any]) -> Any:
    while op_name(values.get(x)) in ("vsq.dequantize", "vsq.quantize"):
        x = values[x].args[0]
    return x


def _is_zero(x: Any) -> bool:
    return is_constant(x) and not constant_array(x).any()
