"""Regions for the accelerator, read binding by binding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import relax

from tvm_vsq.graph import bindings, is_constant, op_name
from tvm_vsq.placement.homes import Home
from tvm_vsq.placement.moves import Move, move_from
from tvm_vsq.tvm_compat import Call, Tuple, Var

CODEGEN = "vsq_accel"
"""Name of the code generator, the prefix of the composite functions and of `relax.ext.vsq_accel`."""

MOVED = "vsq.moved"
"""The operator that stands for a move in a region (`relax_ops.moved`)."""

_HOMES = "vsq_homes"
_FORMATS = "vsq_formats"


def is_region(function: Any) -> bool:
    """Whether a function of a partitioned module is a region for the accelerator."""
    return isinstance(function, relax.Function) and (function.attrs or {}).get("Codegen") == CODEGEN


@dataclass(frozen=True)
class Item:
    """A call of a vsq.* operator, bound to `var` of the region; operands are its variables and constants."""

    var: Any
    call: Any
    operands: tuple[Any, ...]

    @property
    def is_moved(self) -> bool:
        """Whether it moves vectors; else it is a layer."""
        return op_name(self.call) == MOVED

    @property
    def move(self) -> Move:
        """What it does, if it moves vectors."""
        return move_from(str(self.call.attrs["kind"]), [int(n) for n in self.call.attrs["numbers"]])

    @property
    def tensors(self) -> list[Any]:
        """The variables of the region that it reads."""
        return [operand for operand in self.operands if not is_constant(operand)]


def items_of(region: Any) -> list[Item]:
    """The calls of a region, composite functions opened, in program order."""
    values: dict[Any, Any] = {}
    found: list[Item] = []
    for binding in bindings(region):
        value = binding.value
        values[binding.var] = value
        if isinstance(value, Call):
            found += _opened(binding.var, value, values)
        elif isinstance(value, Var):
            values[binding.var] = values.get(value, value)
    body = region.body.body
    if isinstance(body, Call):
        found += _opened(body, body, values)
    return found


def _opened(var: Any, call: Any, values: Mapping[Any, Any]) -> Iterator[Item]:
    if op_name(call):
        yield Item(var, call, tuple(call.args))
        return
    composite = call.op if isinstance(call.op, relax.Function) else values[call.op]
    inner = dict(zip(composite.params, call.args, strict=True))
    for each in _calls(composite):
        yield Item(var, each, tuple(inner.get(arg, arg) for arg in each.args))


def _calls(composite: Any) -> Iterator[Any]:
    for binding in bindings(composite):
        if isinstance(binding.value, Call):
            yield binding.value
    if isinstance(composite.body.body, Call):
        yield composite.body.body


def with_homes(region: relax.Function, homes: Mapping[str, Home]) -> relax.Function:
    """`region`, which says where its tensors lie, by their names in `numbered`."""
    found = {name: [home.root, home.shape, home.strides, home.offset] for name, home in homes.items()}
    return region.with_attr(_HOMES, found)


def homes_of(region: relax.Function) -> dict[str, Home] | None:
    """What `with_homes` attached; None if nothing."""
    found = (region.attrs or {}).get(_HOMES)
    if found is None:
        return None
    return {
        str(name): Home(str(root), tuple(map(int, shape)), tuple(map(int, strides)), int(offset))
        for name, (root, shape, strides, offset) in found.items()
    }


def with_formats(region: relax.Function, widths: Sequence[tuple[int, int] | None]) -> relax.Function:
    """`region`, which says how many bits elements and scales of its parameters have; None where they are no
    vectors.
    """
    found = [list(each or (0, 0)) for each in widths]
    return region.with_attr(_FORMATS, found)


def formats_of(region: relax.Function) -> list[tuple[int, int] | None]:
    """Bits of elements and of scales that `with_formats` attached; None where it attached nothing."""
    found = (region.attrs or {}).get(_FORMATS) or [[0, 0]] * len(region.params)
    return [(int(bits), int(scale)) if int(bits) else None for bits, scale in found]


def results_of(region: Any) -> list[Any]:
    """The variables that a region returns."""
    body = region.body.body
    values = {binding.var: binding.value for binding in bindings(region)}
    while body in values and isinstance(values[body], Var | Tuple):
        body = values[body]
    return list(body.fields) if isinstance(body, Tuple) else [body]


def numbered(region: Any) -> dict[Any, str]:
    """A name for each tensor of a region."""
    found = [*region.params, *(item.var for item in items_of(region))]
    return {var: f"{position}" for position, var in enumerate(found)}
