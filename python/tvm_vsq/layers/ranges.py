"""Calibrated ranges of layers' results, of arguments of their functions, and of rows, kept by the module."""

from __future__ import annotations

from collections.abc import Mapping

from tvm_vsq.tvm_compat import IRModule

_ATTRIBUTE, _ARGUMENTS = "vsq_output_absmax", "vsq_argument_absmax"


def with_output_ranges(module: IRModule, absmax: Mapping[str, float]) -> IRModule:
    """`module` with the largest magnitude of each layer's result, its epilogue included."""
    return module.with_attr(_ATTRIBUTE, dict(absmax))


def output_ranges(module: IRModule) -> dict[str, float]:
    """Those of the layers for which the module has one; empty for a module from elsewhere."""
    return {str(name): float(absmax) for name, absmax in (module.attrs or {}).get(_ATTRIBUTE, {}).items()}


def with_argument_ranges(module: IRModule, absmax: Mapping[str, float]) -> IRModule:
    """`module` with the largest magnitude of what each layer's function is applied to, where it has one, and
    of the rows that layers on rows read.
    """
    return module.with_attr(_ARGUMENTS, dict(absmax))


def argument_ranges(module: IRModule) -> dict[str, float]:
    """Those of the layers for which the module has one."""
    return {str(name): float(absmax) for name, absmax in (module.attrs or {}).get(_ARGUMENTS, {}).items()}
