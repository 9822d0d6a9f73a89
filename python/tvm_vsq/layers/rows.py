"""Layers that work on whole rows of numbers: what they read is no vectors, but results that are not
quantized.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from tvm import relax

from tvm_vsq.graph import (
    bindings,
    count_uses,
    definitions,
    is_constant,
    op_name,
    static_shape,
    tensors,
)
from tvm_vsq.layers.chains import Chain
from tvm_vsq.network import source_of
from tvm_vsq.placement.moves import moved_operands
from tvm_vsq.tvm_compat import Var


def row_layers(function: relax.Function, chains: Collection[Chain]) -> set[Var]:
    """The variables bound to those that pay: some layer reads what they give, or makes what they read.

    chains: of the layers with weights.
    """
    values = definitions(function)
    made = {chain.output for chain in chains}
    readers: dict[Var, list[Var]] = {}
    for binding in bindings(function):
        for operand in tensors(binding.value):
            if isinstance(operand, Var):
                readers.setdefault(operand, []).append(binding.var)

    def is_read(var: Var) -> bool:
        """Whether a layer reads `var`, moved or not."""
        return any(
            is_read(reader)
            if moved_operands(values[reader]) or _is_permuted(values[reader])
            else _is_layer(values[reader])
            for reader in readers.get(var, [])
        )

    found: set[Var] = set()
    for var, call in values.items():
        source = source_of(call)
        if source is None or source.rows is None or source.refusal(call, False):
            continue
        x, added = rows_read(function, call, made)
        if is_read(var) or (source.rows.at_end and not (made | found).isdisjoint({x, added})):
            found.add(var)
    return found


def row_total(call: Any) -> float | None:
    """What the numbers of a row that `call` gives sum up to, none of which is negative; None if that is not
    known.
    """
    source = source_of(call)
    return None if source is None or source.rows is None else source.rows.total


def rows_read(function: relax.Function, call: Any, made: Iterable[Any] = ()) -> tuple[Any, Any]:
    """What a layer on rows reads, and what it adds to that first; None for nothing.

    made: results of layers, with what these have in their epilogues.
    """
    source: Any = source_of(call)
    if source.rows.added is not None:
        return call.args[0], call.args[source.rows.added]
    return (call.args[0], None) if source.rows.keeps_unit else added_rows(function, call.args[0], made)


def added_rows(function: relax.Function, x: Any, made: Iterable[Any] = ()) -> tuple[Any, Any]:
    """What a layer on rows reads in place of `x`, and what it adds to that first, which may be repeated, or a
    constant; the latter is None where `x` is no sum that only such layers read, or one that another layer has
    in its epilogue.
    """
    value: Any = definitions(function).get(x) if isinstance(x, Var) else None
    if op_name(value) != "relax.add" or not _is_for_rows(function, x) or x in set(made):
        return x, None
    values, (first, second) = definitions(function), value.args
    if is_constant(first) or _is_sum_of_rows(values.get(first)):  # what a layer makes first
        first, second = second, first
    if not isinstance(first, Var) or not (isinstance(second, Var) or is_constant(second)):
        return x, None
    if static_shape(first) != static_shape(x):
        first, second = second, first
    shapes = static_shape(first), static_shape(second)
    fits = (
        len(shapes[0]) == len(shapes[1]) and shapes[0][-1] == shapes[1][-1] and shapes[0] == static_shape(x)
    )
    return (first, second) if fits else (x, None)


def _is_for_rows(function: relax.Function, x: Var) -> bool:
    """Whether nothing reads `x` but layers on rows."""
    reading = [
        call
        for call in definitions(function).values()
        if (source := source_of(call)) is not None and source.rows is not None and call.args[0].same_as(x)
    ]
    return count_uses(function)[x] == len(reading)


def sums_of_rows(function: relax.Function) -> set[Var]:
    """Sums that only layers on rows read, of tensors that nothing else reads or that are such sums
    themselves, one of which is made of rows: no operand is vectors then, and no layer with weights takes the
    sum along.
    """
    values, uses = definitions(function), count_uses(function)
    found = set()
    for call in values.values():
        source = source_of(call)
        if source is None or source.rows is None or source.rows.keeps_unit:
            continue
        first, second = added_rows(function, call.args[0])
        if second is None or is_constant(second):
            continue
        is_alone = all(uses[each] == 1 or _is_sum_of_rows(values.get(each)) for each in (first, second))
        if is_alone and _is_of_rows({first, second}, values):
            found.add(call.args[0])
    return found


def _is_of_rows(tensors: set[Any], values: Any) -> bool:
    sources = [source_of(values.get(x)) for x in tensors]
    return any(source is not None and source.rows is not None for source in sources)


def _is_sum_of_rows(call: Any) -> bool:
    source = source_of(call)
    return source is not None and source.rows is not None and source.rows.added is not None


def _is_permuted(call: Any) -> bool:
    return op_name(call) == "relax.permute_dims"


def _is_layer(call: Any) -> bool:
    source = source_of(call)
    return source is not None and source.rows is None
