"""Groups the integer layers into regions for the accelerator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tvm
from tvm import relax

from tvm_vsq.graph import Rebuilder, bindings, dtype_of, op_name, replace_main, static_shape
from tvm_vsq.placement.moves import move_from, moved_operands, record_move
from tvm_vsq.placement.regions import (
    CODEGEN,
    MOVED,
    Item,
    is_region,
    items_of,
    numbered,
    with_formats,
    with_homes,
)
from tvm_vsq.registry import NAMES
from tvm_vsq.relax_ops import LayerOperator, layer_operators
from tvm_vsq.relax_ops.moved import moved
from tvm_vsq.transform.homes import homes_in
from tvm_vsq.transform.inputs import region_inputs
from tvm_vsq.tvm_compat import IRModule, Var, is_const, is_op, wildcard


def partition(module: IRModule) -> IRModule:
    """Make each layer on vectors a composite function, and merge neighbours into regions.

    The composites are called "vsq_accel.<operator>"; weights and parameters are constants inside them.
    Regions are as large as the order of data allows, so a stack of convolutions, its residuals included, is
    one. So are vectors that are moved between layers, where these find them in place; where they would not,
    since the host has some of them, the host moves them.
    """
    on_host: set[int] = set()
    while True:
        found = _partitioned(_with_moved(module, on_host))
        misplaced = _misplaced(found) - on_host
        if not misplaced:
            return _settled(_without_moved(found))
        on_host |= misplaced


def _partitioned(module: IRModule) -> IRModule:
    operators = layer_operators()
    patterns = [
        (f"{CODEGEN}.{operator}", _pattern(name, operators[operator], extra))
        for name, operator in NAMES.items()
        for extra in ([is_const()], [wildcard()], [])
    ]
    arities = {len(b.value.args) for b in bindings(module["main"]) if op_name(b.value) == MOVED}
    patterns += [
        (f"{CODEGEN}.moved", is_op(MOVED)(*(wildcard() for _ in range(arity)))) for arity in sorted(arities)
    ]
    steps = [
        relax.transform.FuseOpsByPattern(patterns, bind_constants=True, annotate_codegen=False),
        relax.transform.MergeCompositeFunctions(),
    ]
    return tvm.transform.Sequential(steps)(module)


def _pattern(name: str, operator: LayerOperator, extra: list[Any]) -> Any:
    """extra: a table, a residual or nothing."""
    tensors = [wildcard(), wildcard()] if operator.has_other else [wildcard()]
    constants = [is_const(), is_const()] if operator.has_weights else [is_const()]
    return is_op(name)(*tensors, *constants, *extra)


def _with_moved(module: IRModule, on_host: set[int]) -> IRModule:
    """With a vsq.moved for each movement of vectors, but for those that are left to the host."""
    return replace_main(module, _WithMoved(module["main"], on_host).run())


class _WithMoved(Rebuilder):
    def __init__(self, function: relax.Function, on_host: set[int]) -> None:
        super().__init__(function)
        self._on_host, self._count = on_host, 0

    def rewrite(self, var: Var, value: Any) -> Any:
        if not moved_operands(value) or dtype_of(var) != "int16":
            return value
        shape = static_shape(var)
        move, key = record_move(value, shape), self._count
        self._count += 1
        if move is None or key in self._on_host:
            return value
        return moved(moved_operands(value), type(move).__name__, move.numbers, shape, key)


def _misplaced(module: IRModule) -> set[int]:
    """The keys of those that a region cannot leave in place, or of which it would do nothing else."""
    found: set[int] = set()
    for _, function in module.functions_items():
        if is_region(function):
            found |= _misplaced_in(function)
    return found


def _misplaced_in(region: Any) -> set[int]:
    items, names = items_of(region), numbered(region)
    keys = {names[item.var]: int(item.call.attrs["key"]) for item in items if item.is_moved}
    if len(keys) == len(items):
        return set(keys.values())
    homes = homes_in(region)
    wrong = {keys[name] for name, _ in homes.misplaced}
    for name in homes.scattered:
        wrong.add(keys[name] if name in keys else _reader(items, names, name))
    return wrong


def _settled(module: IRModule) -> IRModule:
    """With the homes of tensors that regions move, and the formats of those that they are given."""
    functions = dict(module.functions_items())
    given = region_inputs(module)
    for name, function in functions.items():
        if is_region(function):
            if any(item.is_moved for item in items_of(function)):
                function = with_homes(function, homes_in(function).of)
            functions[name] = with_formats(function, given[name])
    return IRModule(functions, attrs=module.attrs)


def _reader(items: list[Item], names: Mapping[Any, str], name: str) -> int:
    """The key of a move that takes a tensor where it cannot be."""
    readers = [i for i in items if i.is_moved and any(names[x] == name for x in i.tensors)]
    return int(readers[-1].call.attrs["key"])


def _without_moved(module: IRModule) -> IRModule:
    return replace_main(module, _WithoutMoved(module["main"]).run())


class _WithoutMoved(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != MOVED:
            return value
        return move_from(str(value.attrs["kind"]), list(map(int, value.attrs["numbers"]))).on_records(
            value.args
        )
