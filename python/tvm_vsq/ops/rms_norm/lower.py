"""The same workload as of a layer normalization, whose call it is."""

from __future__ import annotations

from tvm_vsq.ops.layer_norm.lower import LOWER

__all__ = ["LOWER"]
