"""What accumulators reach where one operand is a row of known sum (docs/numerics.md, section 7)."""

from __future__ import annotations

from math import ceil

from tvm_vsq.formats import VectorFormat

_FACTOR_ERROR = 2.0**-13
"""What the factor 1 / X of a row is too large by at most, relatively (section 7: 2^-14), and float64."""


def row_product_bound(
    total: float,
    numbers: int,
    x: VectorFormat,
    gamma: float,
    second: VectorFormat,
    product_shift: int,
    guard_bits: int,
    multiplier_bits: int,
) -> int:
    """Largest magnitude of an accumulator after the products of a row and a second operand in `second`.

    The row has `numbers` numbers, none of them negative, which sum up to `total` at most before they are
    rounded to 2^-16, multiplied, and quantized to `x` with the coarse scale `gamma`. Digits that passes add
    one after the other reach no more.
    """
    vectors, size = x.vectors(numbers), x.vector_size
    steps = 2.0**guard_bits / gamma  # of a 1
    rounded = total * (1 + _FACTOR_ERROR) + numbers / 2.0**17
    y = rounded * (1 + 2.0**-multiplier_bits) * steps + numbers / 2
    # an element is off by at most half its scale, which the largest of its vector gives
    scaled = y / 2.0**guard_bits * (1 + size / (2 * x.qmax)) + size * vectors / 2
    elements = min(scaled, float(size * vectors * x.qmax))
    if product_shift:
        products = second.smax * scaled / 2.0**product_shift + elements / 2
    else:
        products = second.smax * scaled
    return ceil((second.qmax + 1) * products)
