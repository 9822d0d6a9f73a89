"""In what formats the vectors are that regions are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import relax

from tvm_vsq.formats import OUTPUT, QUANTIZED, VectorFormat
from tvm_vsq.graph import bindings, definitions, dtype_of, op_name, tensors
from tvm_vsq.placement.regions import is_region, items_of, results_of
from tvm_vsq.tvm_compat import Call, GlobalVar, IRModule, Var


def region_inputs(module: IRModule) -> dict[GlobalVar, list[tuple[int, int] | None]]:
    """Bits of elements and of scales of each parameter of each region of a partitioned module; None where it
    is no vectors.
    """
    main, found = module["main"], {}
    values: Mapping[Any, Any] = definitions(main)
    for binding in bindings(main):
        call = binding.value
        if isinstance(call, Call) and isinstance(call.op, GlobalVar) and is_region(module[call.op]):
            formats = (_format(module, values, arg) for arg in call.args)
            found[call.op] = [None if fmt is None else (fmt.bits, fmt.scale_width) for fmt in formats]
    return found


def _format(module: IRModule, values: Mapping[Any, Any], tensor: Any) -> VectorFormat | None:
    """Of a tensor of vectors: what quantized it, also if it is moved since."""
    if not isinstance(tensor, Var) or tensor not in values or dtype_of(tensor) != "int16":
        return None
    value: Any = values[tensor]
    position = 0
    if isinstance(value, relax.TupleGetItem):
        value, position = values[value.tuple_value], int(value.index)
    if op_name(value) == "vsq.quantize":
        return QUANTIZED.read(dict(value.attrs))
    if isinstance(value, Call) and isinstance(value.op, GlobalVar):
        region = module[value.op]
        items = {item.var: item for item in items_of(region)}
        item = items.get(results_of(region)[position])
        while item is not None and item.is_moved:
            item = items.get(item.tensors[0])
        if item is None:
            return None
        attrs = dict(item.call.attrs)
        return OUTPUT.read(attrs, static_vector_size(tensor))
    parts = [part for part in tensors(value) if isinstance(part, Var)] if value is not None else []
    return _format(module, values, parts[0]) if parts else None


def static_vector_size(tensor: Any) -> int:
    """Elements of a vector of a tensor of vectors."""
    return int(tensor.ty.shape[-1]) - 1
