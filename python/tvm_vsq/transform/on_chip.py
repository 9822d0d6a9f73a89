"""Whether a network is whole on the accelerator: what lies between its layers and runs on the CPU."""

from __future__ import annotations

from tvm_vsq.errors import QuantizationError
from tvm_vsq.graph import bindings, tensors
from tvm_vsq.network import Elements, facts_of, source_of
from tvm_vsq.transform.explain import OpPlacement, placements
from tvm_vsq.tvm_compat import Call, GlobalVar, IRModule, Var

_SHOWN = 8


def between_layers(module: IRModule) -> list[OpPlacement]:
    """The operators of a partitioned module that run on the CPU between two layers, in program order.

    That is what reads results of layers and is read by others, and layers with weights that have no
    accelerator form, wherever they stand. Views, which move no bytes, do not count; nor does what lies before
    the first layer or behind the last one.
    """
    placed, all_bindings = placements(module), list(bindings(module["main"]))
    layers = {b.var for b in all_bindings if _is_region(b.value) or _has_weights(b.value)}
    behind: set[Var] = set()
    for binding in all_bindings:
        if any(x in layers or x in behind for x in tensors(binding.value)):
            behind.add(binding.var)
    before: set[Var] = set()
    for binding in reversed(all_bindings):
        if binding.var in layers or binding.var in before:
            before.update(tensors(binding.value))
    found = []
    for binding in all_bindings:
        var, value = binding.var, binding.value
        is_between = var in behind and var in before and var not in layers
        is_view = facts_of(value).elements is Elements.VIEWED
        if var in placed and ((is_between and not is_view) or _has_weights(value)):
            found.append(placed[var])
    return found


def require_on_chip(module: IRModule) -> IRModule:
    """`module`; QuantizationError naming each operator of `between_layers`, with its layer and the reason."""
    found = between_layers(module)
    if not found:
        return module
    lines = [
        f"{row.op}{f' of layer {row.layer!r}' if row.layer else ''}: {row.why}" for row in found[:_SHOWN]
    ]
    rest = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    raise QuantizationError(
        f"strict=True, but {len(found)} operators between the input's quantization and the last layer's "
        f"result run on the CPU: {'; '.join([*lines, *rest])}; drop strict to leave them there"
    )


def _is_region(value: object) -> bool:
    return isinstance(value, Call) and isinstance(value.op, GlobalVar)


def _has_weights(value: object) -> bool:
    source = source_of(value)
    return source is not None and source.weights is not None
