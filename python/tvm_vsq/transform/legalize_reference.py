"""The CPU reference: a fused module as plain TensorIR."""

from __future__ import annotations

from tvm import relax

from tvm_vsq.tvm_compat import IRModule


def legalize_reference(module: IRModule) -> IRModule:
    """Every operator, vsq.* included, as TensorIR for "llvm"; what the accelerator must match bit for bit."""
    return relax.transform.LegalizeOps()(module)
