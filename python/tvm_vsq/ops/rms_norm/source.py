"""The normalizations by the root of mean squares of an fp32 graph that have an accelerator form."""

from __future__ import annotations

from typing import Any

import numpy as np

from tvm_vsq.graph import constant_array
from tvm_vsq.layers.normalization import unit_rows
from tvm_vsq.network import Source
from tvm_vsq.ops.layer_norm.source import Array, is_over_last_axis, norm_form, row_refusal


def _factors(call: Any) -> tuple[Array, Array]:
    weight = constant_array(call.args[1]).astype(np.float64)
    return unit_rows(len(weight)) * weight, np.zeros(len(weight))


SOURCE = Source(
    relax="relax.nn.rms_norm",
    word="rms_norm",
    refusal=row_refusal,
    matches=is_over_last_axis,
    rows=norm_form(_factors, centered=False),
)
