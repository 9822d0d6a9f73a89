"""The product of two vector scales in TE (docs/numerics.md, section 4)."""

from __future__ import annotations

from typing import Any

from tvm import te, tirx


def scale_product_te(a: Any, b: Any, product_shift: int, product_bits: int) -> Any:
    """The product of two int16 vector scales as int64, rounded half up to its `product_bits` high bits."""
    product = a.astype("int64") * b.astype("int64")
    if product_shift == 0:
        return product
    divisor = tirx.const(1 << product_shift, "int64")
    rounded = te.floordiv(2 * product + divisor, 2 * divisor)
    return te.min(rounded, tirx.const((1 << product_bits) - 1, "int64")) if product_bits else rounded
