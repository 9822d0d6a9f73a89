"""Whether a network is whole on the accelerator: what lies between its layers and runs on the CPU."""

from __future__ import annotations

from typing import Any

from tvm_vsq.errors import QuantizationError
from tvm_vsq.graph import bindings, definitions, tensors
from tvm_vsq.network import Elements, facts_of, source_of
from tvm_vsq.network.names import between
from tvm_vsq.transform.explain import OpPlacement, placements, result_layer
from tvm_vsq.tvm_compat import Call, GlobalVar, IRModule, Var

_SHOWN = 8


def between_layers(module: IRModule) -> dict[Var, OpPlacement]:
    """The operators of a partitioned module that run on the CPU between two layers, by what they give.

    That is what reads results of layers and is read by others, and layers with weights that have no
    accelerator form, wherever they stand. Views, which move no bytes, do not count; nor does what lies before
    the first layer or behind the last one.
    """
    placed, all_bindings = placements(module), list(bindings(module["main"]))
    layers = {b.var for b in all_bindings if _is_region(b.value) or _has_weights(b.value)}
    inside = between(module["main"], layers)
    found = {}
    for binding in all_bindings:
        var, value = binding.var, binding.value
        is_between = var in inside and var not in layers
        is_view = facts_of(value).elements is Elements.VIEWED
        if var in placed and ((is_between and not is_view) or _has_weights(value)):
            found[var] = placed[var]
    return found


def require_on_chip(module: IRModule) -> IRModule:
    """`module`; QuantizationError naming each operator of `between_layers`, with its layer and the reason.

    What only brings tensors to the CPU and back is counted, and named if there is nothing else.
    """
    found = between_layers(module)
    if not found:
        return module
    behind = _layers_before(module)
    causes = {var: row for var, row in found.items() if not _carries(row)} or found
    alike: dict[tuple[str, str], list[str]] = {}  # operators by place and reason
    for var, row in causes.items():
        alike.setdefault(_place_and_reason(row, behind.get(var, "")), []).append(row.op)
    lines = [f"{', '.join(dict.fromkeys(ops))}{place}: {why}" for (place, why), ops in alike.items()]
    left = len(causes) - sum(map(len, list(alike.values())[:_SHOWN]))
    lines = [*lines[:_SHOWN], *([f"and {left} more"] if left else [])]
    carried = len(found) - len(causes)
    also = f" ({carried} of them only bring tensors there and back)" if carried else ""
    raise QuantizationError(
        f"strict=True, but {len(found)} operators between the input's quantization and the last layer's "
        f"result run on the CPU{also}: {'; '.join(lines)}; drop strict to leave them there"
    )


def _place_and_reason(row: OpPlacement, behind: str) -> tuple[str, str]:
    place = f" of layer '{row.layer}'" if row.layer else f" behind layer '{behind}'" if behind else ""
    # the layouts that a caller has lie outside
    why = "moves elements, no accelerator form yet" if row.op == "relax.permute_dims" else row.why
    return place, why


def _carries(row: OpPlacement) -> bool:
    there_and_back = ("the int32 result", "brings fp32 to the accelerator")
    return row.op in ("vsq.quantize", "vsq.dequantize") or row.why.startswith(there_and_back)


def _layers_before(module: IRModule) -> dict[Var, str]:
    """The layer that gave each tensor, or the first operand of what it was made of on the CPU."""
    found: dict[Var, str] = {}
    values = definitions(module["main"])
    for binding in bindings(module["main"]):
        value: Any = binding.value
        given = result_layer(module, value, values)
        if given is not None:
            found[binding.var] = given
        else:
            names = (found.get(each, "") for each in tensors(value))
            found[binding.var] = next(filter(None, names), "")
    return found


def _is_region(value: object) -> bool:
    return isinstance(value, Call) and isinstance(value.op, GlobalVar)


def _has_weights(value: object) -> bool:
    source = source_of(value)
    return source is not None and source.weights is not None
