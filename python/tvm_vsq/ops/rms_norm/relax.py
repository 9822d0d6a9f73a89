"""vsq.rms_norm: a layer normalization that is not centered."""

from __future__ import annotations

from tvm_vsq.ops.layer_norm.relax import normalizing

RELAX = normalizing("vsq.rms_norm")
