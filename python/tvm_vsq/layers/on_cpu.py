"""Layers without weights that stay on the CPU, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm_vsq.graph import static_shape
from tvm_vsq.network import Source
from tvm_vsq.tvm_compat import IRModule

_ATTRIBUTE = "vsq_on_cpu"


def with_layers_on_cpu(module: IRModule, reasons: Mapping[str, str]) -> IRModule:
    """`module` with the names of those whose operands are stored as vectors, and why each stays there."""
    return module.with_attr(_ATTRIBUTE, dict(reasons))


def layers_on_cpu(module: IRModule) -> dict[str, str]:
    """Reasons by name; empty for a module that comes from elsewhere."""
    return {str(name): str(why) for name, why in (module.attrs or {}).get(_ATTRIBUTE, {}).items()}


def not_between_layers(source: Source, call: Any) -> str:
    """What is said of such a layer whose operands are no vectors."""
    return f"not between layers on the accelerator, where it would read vectors{_views(source, call)}"


def _views(source: Source, call: Any) -> str:
    """What stands between a product of two activations and vectors."""
    if not source.other_is_transposed:
        return ""
    x, other = (static_shape(each) for each in call.args[:2])
    if len(other) == _STACKED and x[1] > other[1]:
        return (
            " (heads that share keys and values need a batch of one sequence, unless all share one, and "
            "whole vectors of channels)"
        )
    return " (heads need whole vectors of channels)"


_STACKED = 4
"""Axes of a product of two stacks of matrices: images or groups, heads, rows, channels."""
