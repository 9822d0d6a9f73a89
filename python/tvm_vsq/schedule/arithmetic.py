"""Integer expressions shared by the tensor expression of a layer and the intrinsic that replaces it."""

from __future__ import annotations

from typing import Any

from tvm import tirx


def scale_product(weight_scale: Any, activation_scale: Any, shift: int, bits: int) -> Any:
    """int64 expression of round_P(s_w * s_a): min((s_w * s_a + 2^(shift-1)) >> shift, 2^bits - 1).

    `shift` low bits are rounded away half up, `bits` are kept (VS-Quant, section 5: rounded scale products).
    """
    product = weight_scale.astype("int64") * activation_scale.astype("int64")
    if shift == 0:
        return product
    rounded = (product + tirx.const(1 << (shift - 1), "int64")) >> tirx.const(shift, "int64")
    return tirx.min(rounded, tirx.const((1 << bits) - 1, "int64"))
