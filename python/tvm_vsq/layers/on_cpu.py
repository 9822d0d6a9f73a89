"""Layers without weights that stay on the CPU, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm_vsq.graph import op_name, static_shape
from tvm_vsq.network import facts_of
from tvm_vsq.tvm_compat import IRModule, Var

_ATTRIBUTE = "vsq_on_cpu"


def with_layers_on_cpu(module: IRModule, reasons: Mapping[str, str]) -> IRModule:
    """`module` with the names of those whose operands are stored as vectors, and why each stays there."""
    return module.with_attr(_ATTRIBUTE, dict(reasons))


def layers_on_cpu(module: IRModule) -> dict[str, str]:
    """Reasons by name; empty for a module that comes from elsewhere."""
    return {str(name): str(why) for name, why in (module.attrs or {}).get(_ATTRIBUTE, {}).items()}


NOT_BETWEEN_LAYERS = "not between layers on the accelerator, where it would read vectors"
"""What is said of such a layer whose operands are no vectors."""


def product_not_between_layers(call: Any, values: Mapping[Any, Any], vector_size: int) -> str:
    """The same of a product of two activations, with what its heads need where they are not so."""
    x, other = (static_shape(each) for each in call.args[:2])
    needs = []
    if len(other) == _STACKED and x[1] > other[1]:
        needs.append("that share keys and values need a batch of one sequence, unless all share one")
    channels = other[-1] if _is_of_probabilities(call.args[0], values) else x[-1]
    if channels % vector_size:
        needs.append("whole vectors of channels" if needs else "need whole vectors of channels")
    return NOT_BETWEEN_LAYERS + (f" (heads {', and '.join(needs)})" if needs else "")


def _is_of_probabilities(x: Any, values: Mapping[Any, Any]) -> bool:
    """Whether `x` comes from a softmax, with nothing but operators on each element in between."""
    call: Any = values.get(x) if isinstance(x, Var) else None
    while facts_of(call).elementwise or op_name(call) == "relax.where":
        same = [arg for arg in call.args if isinstance(arg, Var) and static_shape(arg) == static_shape(x)]
        call = values.get(same[-1]) if same else None
    return op_name(call) == "relax.nn.softmax"


_STACKED = 4
"""Axes of a product of two stacks of matrices: images or groups, heads, rows, channels."""
