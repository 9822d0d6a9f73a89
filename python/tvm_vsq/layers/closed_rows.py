"""Layers in which what a mask hides adds nothing to a row, so that its length does not matter."""

from __future__ import annotations

from collections.abc import Collection

from tvm_vsq.tvm_compat import IRModule

_ATTRIBUTE = "vsq_closed_rows"


def with_closed_rows(module: IRModule, names: Collection[str]) -> IRModule:
    """`module` with the names of such layers."""
    return module.with_attr(_ATTRIBUTE, list(names)) if names else module


def closed_rows(module: IRModule) -> set[str]:
    """Those names."""
    return {str(name) for name in (module.attrs or {}).get(_ATTRIBUTE, ())}
