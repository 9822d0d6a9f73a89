"""Rows of probabilities that are masked as a whole: what chooses zeros for them behind a product
(`frontend.nan_guards`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tvm_vsq.graph import constant_array, is_constant, op_name
from tvm_vsq.network.masks import HIDES
from tvm_vsq.tvm_compat import Var


def guarded_rows(call: Any, product: Var, values: Mapping[Any, Any]) -> Any:
    """The probabilities that `call`, where(rows, product, 0), guards, if it asks whether their mask leaves
    something of a row, so that zeros in place of them give the same; None if it is something else.
    """
    if op_name(call) != "relax.where" or not call.args[1].same_as(product) or not _is_zero(call.args[2]):
        return None
    probabilities, masks = _masked(product, values)
    asks = _of_constant if is_constant(call.args[0]) else _of_computed
    return probabilities if any(asks(call.args[0], mask, values) for mask in masks) else None


def bounded_mask(call: Any, values: Mapping[Any, Any]) -> Any:
    """The numbers that hide scores, if `call` guards a product against rows that are minus infinity as a
    whole; None if it is something else, or the mask is a choice of what passes.
    """
    product: Any = values.get(call.args[1]) if op_name(call) == "relax.where" else None
    if op_name(product) != "relax.matmul" or guarded_rows(call, call.args[1], values) is None:
        return None
    bounds: list[Any] = [values.get(_source(mask, values)) for mask in _masked(call.args[1], values)[1]]
    return next((_source(bound.args[0], values) for bound in bounds if op_name(bound) == "relax.clip"), None)


def _masked(product: Var, values: Mapping[Any, Any]) -> tuple[Any, list[Any]]:
    """The probabilities that `product` reads, and what is added to each other in front of them."""
    probabilities = _before_quantization(values[product].args[0], values)
    rows: Any = values.get(probabilities)
    total: Any = values.get(rows.args[0]) if op_name(rows).startswith("relax.nn.") else None
    return probabilities, list(total.args) if op_name(total) == "relax.add" else []


def _of_constant(rows: Any, mask: Any, _values: Mapping[Any, Any]) -> bool:
    """Whether constant `rows` are those of a constant mask that it does not hide as a whole."""
    if not is_constant(mask):
        return False
    largest, asked = constant_array(mask).max(-1, keepdims=True), constant_array(rows)
    is_open = largest > HIDES
    a, b = np.broadcast_arrays(asked, is_open)
    return np.array_equal(a, b) and bool((largest[~is_open] == np.finfo(np.float32).min).all())


def _of_computed(rows: Any, mask: Any, values: Mapping[Any, Any]) -> bool:
    """Whether `rows` counts what `mask` lets pass of each row: where it chooses 0, or is not at its bound."""
    test: Any = values.get(_source(rows, values))
    if op_name(test) != "relax.greater" or not _is_zero(test.args[1]):
        return False
    count: Any = values.get(test.args[0])
    if op_name(count) != "relax.sum":
        return False
    counted = _source(count.args[0], values)
    known: Any = values.get(_source(mask, values))
    if op_name(known) == "relax.where":
        return bool(_source(known.args[0], values).same_as(counted))
    passed: Any = values.get(counted)
    if op_name(known) != "relax.clip" or op_name(passed) != "relax.greater":
        return False
    border = passed.args[1]
    if not is_constant(border) or not np.isneginf(constant_array(border)).all():
        return False
    return bool(_source(known.args[0], values).same_as(_source(passed.args[0], values)))


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
