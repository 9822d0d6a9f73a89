"""The calibrated ranges of layers' results, kept as an attribute of the module, by the layer's name."""

from __future__ import annotations

from collections.abc import Mapping

from tvm_vsq.tvm_compat import IRModule

_ATTRIBUTE = "vsq_output_absmax"


def with_output_ranges(module: IRModule, absmax: Mapping[str, float]) -> IRModule:
    """`module` with the largest magnitude of each layer's result, its epilogue included."""
    return module.with_attr(_ATTRIBUTE, dict(absmax))


def output_ranges(module: IRModule) -> dict[str, float]:
    """Those of the layers for which the module has one; empty for a module from elsewhere."""
    return {str(name): float(absmax) for name, absmax in (module.attrs or {}).get(_ATTRIBUTE, {}).items()}
