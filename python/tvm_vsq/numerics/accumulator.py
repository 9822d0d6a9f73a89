"""The proof that an accumulator cannot overflow (docs/numerics.md, section 4)."""

from __future__ import annotations

from tvm_vsq.errors import QuantizationError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics.accumulate import multiply_scales


def accumulator_bound(
    vectors: int, weight: VectorFormat, activation: VectorFormat, product_shift: int, product_bits: int
) -> int:
    """Largest magnitude of an accumulator after `vectors` vector products (R * S * CV of a convolution)."""
    scale = _largest_product(weight, activation, product_shift, product_bits)
    return vectors * weight.vector_size * weight.qmax * activation.qmax * scale


def check_accumulator(
    layer: str,
    vectors: int,
    weight: VectorFormat,
    activation: VectorFormat,
    product_shift: int,
    product_bits: int,
    accumulator_bits: int,
) -> int:
    """Return the bound, or raise QuantizationError if it does not fit `accumulator_bits` signed bits."""
    bound = accumulator_bound(vectors, weight, activation, product_shift, product_bits)
    limit = 2 ** (accumulator_bits - 1)
    if bound >= limit:
        raise QuantizationError(
            f"layer '{layer}': {vectors} vectors of {weight.vector_size} elements "
            f"(|q_w| <= {weight.qmax}, |q_a| <= {activation.qmax}, scale product <= "
            f"{_largest_product(weight, activation, product_shift, product_bits)}) can reach {bound}, but a "
            f"{accumulator_bits}-bit accumulator holds less than {limit}; use accumulator_bits >= "
            f"{bound.bit_length() + 1}, fewer element or scale bits, or a smaller scale_product_bits"
        )
    return bound


def _largest_product(
    weight: VectorFormat, activation: VectorFormat, product_shift: int, product_bits: int
) -> int:
    return int(multiply_scales(weight.smax, activation.smax, product_shift, product_bits))
