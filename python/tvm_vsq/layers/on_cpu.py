"""Layers without weights that stay on the CPU, and why."""

from __future__ import annotations

from collections.abc import Mapping

from tvm_vsq.network import Source
from tvm_vsq.tvm_compat import IRModule

_ATTRIBUTE = "vsq_on_cpu"


def with_layers_on_cpu(module: IRModule, reasons: Mapping[str, str]) -> IRModule:
    """`module` with the names of those whose operands are stored as vectors, and why each stays there."""
    return module.with_attr(_ATTRIBUTE, dict(reasons))


def layers_on_cpu(module: IRModule) -> dict[str, str]:
    """Reasons by name; empty for a module that comes from elsewhere."""
    return {str(name): str(why) for name, why in (module.attrs or {}).get(_ATTRIBUTE, {}).items()}


def not_between_layers(source: Source) -> str:
    """What is said of such a layer whose operands are no vectors."""
    views = " (heads need whole vectors of channels)" if source.other_is_transposed else ""
    return f"not between layers on the accelerator, where it would read vectors{views}"
