"""Groups the integer layers into regions for the accelerator."""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relax

from tvm_vsq.registry import NAMES
from tvm_vsq.relax_ops import LayerOperator, layer_operators
from tvm_vsq.tvm_compat import IRModule, is_const, is_op, wildcard

CODEGEN = "vsq_accel"
"""Name of the code generator, the prefix of the composite functions and of `relax.ext.vsq_accel`."""


def partition(module: IRModule) -> IRModule:
    """Make each layer on vectors a composite function, and merge neighbours into regions.

    The composites are called "vsq_accel.<operator>"; weights and parameters are constants inside them.
    Regions are as large as the order of data allows, so a stack of convolutions, its residuals included, is
    one.
    """
    operators = layer_operators()
    patterns = [
        (f"{CODEGEN}.{operator}", _pattern(name, operators[operator], extra))
        for name, operator in NAMES.items()
        for extra in ([is_const()], [wildcard()], [])
    ]
    steps = [
        relax.transform.FuseOpsByPattern(patterns, bind_constants=True, annotate_codegen=False),
        relax.transform.MergeCompositeFunctions(),
    ]
    return tvm.transform.Sequential(steps)(module)


def is_region(function: Any) -> bool:
    """Whether a function of a partitioned module is a region for the accelerator."""
    return isinstance(function, relax.Function) and (function.attrs or {}).get("Codegen") == CODEGEN


def _pattern(name: str, operator: LayerOperator, extra: list[Any]) -> Any:
    """extra: a table, a residual or nothing."""
    tensors = [wildcard(), wildcard()] if operator.has_other else [wildcard()]
    constants = [is_const(), is_const()] if operator.has_weights else [is_const()]
    return is_op(name)(*tensors, *constants, *extra)
