"""Where the tensors of a region lie in one another."""

from __future__ import annotations

from math import prod
from typing import Any

from tvm_vsq.graph import op_name, static_shape
from tvm_vsq.placement.homes import Homes, Moved, find_homes
from tvm_vsq.placement.regions import items_of, numbered, results_of
from tvm_vsq.registry import NAMES
from tvm_vsq.relax_ops import layer_operators


def homes_in(region: Any) -> Homes:
    """The home of each tensor, by its name in `numbered`."""
    names = numbered(region)
    shapes = {names[var]: static_shape(var)[:-1] for var in names}
    moves, accesses, fixed = [], [], {names[param] for param in region.params}
    fixed |= {names[result] for result in results_of(region) if result in names}
    for item in items_of(region):
        tensors = [names[x] for x in item.tensors]
        if item.is_moved:
            moves.append(Moved(names[item.var], item.move, tuple(tensors)))
        else:
            operator = NAMES[op_name(item.call)]
            for name in [*tensors, names[item.var]]:
                accesses.append((name, accessed(operator, shapes[name])))
    return find_homes(shapes, moves, accesses, fixed)


def accessed(operator: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape [..., CV] in which an operator's loads and stores see a tensor of `shape`."""
    if len(shape) == 4 and not layer_operators()[operator].is_flat:
        return shape
    return prod(shape[:-1]), shape[-1]
