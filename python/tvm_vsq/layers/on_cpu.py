"""Layers without weights that stay on the CPU, although what they read is stored as vectors."""

from __future__ import annotations

from collections.abc import Mapping

from tvm_vsq.tvm_compat import IRModule

_ATTRIBUTE = "vsq_on_cpu"


def with_layers_on_cpu(module: IRModule, reasons: Mapping[str, str]) -> IRModule:
    """`module` with the names of such layers, and why each stays there."""
    return module.with_attr(_ATTRIBUTE, dict(reasons))


def layers_on_cpu(module: IRModule) -> dict[str, str]:
    """Reasons by name; empty for a module that comes from elsewhere."""
    return {str(name): str(why) for name, why in (module.attrs or {}).get(_ATTRIBUTE, {}).items()}
