"""How much an operator on the CPU computes and moves, as if it ran by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from tvm import relax

from tvm_vsq.graph import leaves, op_name, static_shape
from tvm_vsq.network import Elements, facts_of, source_of
from tvm_vsq.tvm_compat import Call, Var


@dataclass(frozen=True)
class Work:
    """What one operator does in one inference.

    macs: multiply-accumulates of convolutions and products, those with the zeros of a padding included.
    operations: of any other operator, the elements of pooling windows, else of the largest tensor that it
    reads or writes; 0 if it only moves elements. bytes: operands, constants included, and results, each read
    or written once; what is copied, twice; 0 for another shape of the same bytes. TVM may fuse operators,
    which then move less.
    """

    macs: int
    operations: int
    bytes: int


def work_of(call: Call, result: Var) -> Work:
    """The work of `call`, which is bound to `result`; shapes are static."""
    name, elements = op_name(call), facts_of(call).elements
    if elements is Elements.VIEWED:
        return Work(0, 0, 0)
    results = list(_tensors(result.ty))
    written = sum(map(_bytes, results))
    if elements is Elements.COPIED:
        return Work(0, 0, 2 * written)
    operands = [ty for leaf in dict.fromkeys(leaves(call)) for ty in _tensors(getattr(leaf, "ty", None))]
    moved = sum(map(_bytes, operands)) + written
    macs = _macs(name, call, result)
    if macs:
        return Work(macs, 0, moved)
    return Work(0, _operations(name, call, [*operands, *results], results), moved)


def _operations(name: str, call: Call, tensors: list[Any], results: list[Any]) -> int:
    window = prod(int(extent) for extent in getattr(call.attrs, "pool_size", ())) if "pool" in name else 1
    if window > 1:
        return sum(map(_elements, results)) * window
    return max(map(_elements, tensors), default=0)


def _macs(name: str, call: Call, result: Var) -> int:
    if name.startswith("relax.nn.conv"):
        kernel = static_shape(call.args[1])
        layout = str(call.attrs.kernel_layout)
        if name.endswith("_transpose"):  # each element of the input meets each weight of its input channel
            return prod(static_shape(call.args[0])) * prod(kernel) // kernel[layout.index("I")]
        return prod(static_shape(result)) * prod(kernel) // kernel[layout.index("O")]
    source = source_of(call)
    if source is not None and source.macs is not None:
        return source.macs(call, result)
    if name.startswith("relax.nn.attention"):  # [B, S, N, H] times [B, T, N, H], then times [B, T, N, W]
        query, key, value = (static_shape(arg) for arg in call.args[:3])
        return prod(query[:3]) * key[1] * (query[3] + value[3])
    if name == "relax.einsum":
        return _einsum_macs(str(call.attrs.subscripts), [static_shape(arg) for arg in leaves(call)])
    return 0


def _einsum_macs(subscripts: str, shapes: list[tuple[int, ...]]) -> int:
    """One multiplication for each operand after the first, at each point of the index space."""
    extents: dict[str, int] = {}
    for names, shape in zip(subscripts.replace(" ", "").split("->")[0].split(","), shapes, strict=True):
        labels, _, trailing = names.partition("...")
        extents |= dict(zip(labels, shape, strict=False))
        extents |= dict(zip(reversed(trailing), reversed(shape), strict=False))
        for axis, extent in enumerate(reversed(shape[len(labels) : len(shape) - len(trailing)])):
            extents[f"...{axis}"] = max(extent, extents.get(f"...{axis}", 1))
    return prod(extents.values()) * (len(shapes) - 1)


def _tensors(ty: Any) -> Iterator[Any]:
    if isinstance(ty, relax.TensorType):
        yield ty
    elif isinstance(ty, relax.TupleType):
        for field in ty.fields:
            yield from _tensors(field)


def _elements(ty: Any) -> int:
    return prod(int(extent) for extent in ty.shape)


def _bytes(ty: Any) -> int:
    return _elements(ty) * int(ty.dtype.dtype.itemsize)
