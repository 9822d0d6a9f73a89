"""What type inference refuses, and how it says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any

import tvm_ffi
from tvm import relax

from tvm_vsq.errors import VsqError
from tvm_vsq.formats import VECTOR_SIZES
from tvm_vsq.tvm_compat import Call, Expr, IntImm


# TVM carries an error through its C++ frames by name; unregistered, it would arrive as a bare RuntimeError.
@tvm_ffi.register_error("tvm_vsq.OperatorError")
class OperatorError(VsqError):
    """A vsq.* operator with an argument or attribute that it cannot take."""


def integer(op: str, field: str, value: Any, low: int, high: int) -> int:
    """`value` as an int in [low, high]; OperatorError names `op` and `field` otherwise."""
    try:
        number = index(value)
    except TypeError:
        raise OperatorError(f"{op}: {field} must be an integer, got {value!r}") from None
    if not low <= number <= high:
        raise OperatorError(f"{op}: {field}={number} is outside {low}..{high}")
    return number


def integers(op: str, field: str, values: Any, count: int, low: int) -> list[int]:
    """`values` as a list of `count` ints, each at least `low` (and below 2^16)."""
    items = list(values)
    if len(items) != count:
        raise OperatorError(f"{op}: {field} needs {count} integers, got {len(items)}: {items}")
    return [integer(op, f"{field}[{i}]", value, low, (1 << 16) - 1) for i, value in enumerate(items)]


def static_scales(op: str, field: str, scales: Any, scale_bits: int) -> list[int]:
    """Static vector scales as a list of ints, each in 1..2^scale_bits - 1; empty for dynamic ones."""
    top = (1 << scale_bits) - 1 if scale_bits else 1
    return [integer(op, f"{field}[{i}]", scale, 1, top) for i, scale in enumerate(scales)]


def scale_count(op: str, field: str, scales: Sequence[int], vectors: int) -> None:
    """Refuse static scales that are not one for each of `vectors` vectors."""
    if scales and len(scales) != vectors:
        raise OperatorError(f"{op}: {field} holds {len(scales)} scales for {vectors} vectors")


def argument_count(op: str, call: Call, allowed: tuple[int, ...]) -> None:
    """Refuse a call whose number of tensors is not one of `allowed`."""
    if len(call.args) not in allowed:
        choices = " or ".join(str(count) for count in allowed)
        raise OperatorError(f"{op}: takes {choices} tensors, got {len(call.args)}")


def tensor_shape(op: str, name: str, argument: Expr, dtype: str, rank: str, low: int, high: int) -> list[Any]:
    """The dimensions of `argument`, a `dtype` tensor of low..high axes; `rank` spells the expected shape."""
    found = argument.ty
    if not isinstance(found, relax.TensorType):
        raise OperatorError(f"{op}: {name} must be a tensor {dtype}{rank}, got {found}")
    if str(found.dtype).removeprefix("T.") != dtype:
        raise OperatorError(f"{op}: {name} must be {dtype}{rank}, got {found}; insert vsq.quantize or a cast")
    if not isinstance(found.shape, relax.ShapeExpr):
        raise OperatorError(
            f"{op}: {name} needs a known shape {rank}, got {found}; bind the input shapes first"
        )
    dimensions = list(found.shape)
    if not low <= len(dimensions) <= high:
        raise OperatorError(f"{op}: {name} must be {dtype}{rank}, got {len(dimensions)} axes: {found}")
    return dimensions


def spell(dimensions: list[Any]) -> str:
    """A shape as people write it: numbers, and the names of symbolic sizes."""
    plain = [str(int(size) if isinstance(size, int | IntImm) else size) for size in dimensions]
    return f"[{', '.join(plain)}]"


def static(op: str, name: str, dimension: Any) -> int:
    """A dimension that must be a number, not a symbol."""
    if not isinstance(dimension, IntImm):
        raise OperatorError(
            f"{op}: {name} must be a fixed number, got the symbolic size {dimension}; bind it first"
        )
    return int(dimension)


def vector_axes(op: str, name: str, dimensions: list[Any]) -> tuple[int, int]:
    """(CV, V) of a vector tensor's dimensions [..., CV, V+1]."""
    vectors = static(op, f"{name}'s number of vectors", dimensions[-2])
    lanes = static(op, f"{name}'s last axis", dimensions[-1])
    if lanes - 1 not in VECTOR_SIZES:
        raise OperatorError(
            f"{op}: {name}'s last axis is {lanes}, but a vector tensor's is V+1 (V elements, then their "
            f"scale) with V one of {VECTOR_SIZES}"
        )
    return vectors, lanes - 1


def read_attributes(call: Call) -> Mapping[str, Any]:
    """The attributes of `call`, which parsed scripts and JSON may bring along unchecked."""
    return dict(call.attrs) if call.attrs is not None else {}


def attribute(op: str, attributes: Mapping[str, Any], name: str) -> Any:
    """One attribute, or an OperatorError that names the missing one."""
    if name not in attributes:
        raise OperatorError(f"{op}: attribute '{name}' is missing; build the call with tvm_vsq.relax_ops")
    return attributes[name]
