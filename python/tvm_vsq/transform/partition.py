"""Groups the integer layers into regions for the accelerator."""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relax

from tvm_vsq.tvm_compat import IRModule, is_const, is_op, wildcard

CODEGEN = "vsq_accel"
"""Name of the code generator, the prefix of the composite functions and of `relax.ext.vsq_accel`."""


def partition(module: IRModule) -> IRModule:
    """Make each vsq.conv2d and vsq.dense a composite function, and merge neighbours into regions.

    The composites are "vsq_accel.conv2d" and "vsq_accel.dense"; weights and parameters are constants inside
    them. Regions are as large as the order of data allows, so a stack of convolutions, its residuals
    included, is one.
    """
    patterns = [
        (f"{CODEGEN}.{name}", is_op(f"vsq.{name}")(wildcard(), is_const(), is_const(), *residual))
        for name in ("conv2d", "dense")
        for residual in ((wildcard(),), ())
    ]
    steps = [
        relax.transform.FuseOpsByPattern(patterns, bind_constants=True, annotate_codegen=False),
        relax.transform.MergeCompositeFunctions(),
    ]
    return tvm.transform.Sequential(steps)(module)


def is_region(function: Any) -> bool:
    """Whether a function of a partitioned module is a region for the accelerator."""
    return isinstance(function, relax.Function) and (function.attrs or {}).get("Codegen") == CODEGEN
