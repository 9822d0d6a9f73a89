"""The proof that an accumulator cannot overflow (docs/numerics.md, section 4)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import QuantizationError
from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics.accumulate import multiply_scales
from tvm_vsq.numerics.layout import split


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
    weights: npt.NDArray[np.int16] | None = None,
    known: int | None = None,
) -> int:
    """Return the bound, or raise QuantizationError if it does not fit `accumulator_bits` signed bits.

    Where that of the formats does not, that of the `weights` int16[K, ..., V+1] may, if they are given, or
    what is `known` of the operands otherwise.
    """
    bound = accumulator_bound(vectors, weight, activation, product_shift, product_bits)
    limit = 2 ** (accumulator_bits - 1)
    if bound >= limit and weights is not None:
        bound = _bound_of(weights, activation, product_shift, product_bits)
    if bound >= limit and known is not None:
        bound = min(bound, known)
    if bound >= limit:
        raise QuantizationError(
            f"layer '{layer}': {vectors} vectors of {weight.vector_size} elements "
            f"(|q_w| <= {weight.qmax}, |q_a| <= {activation.qmax}, scale product <= "
            f"{_largest_product(weight, activation, product_shift, product_bits)}) can reach {bound}, but a "
            f"{accumulator_bits}-bit accumulator holds less than {limit}; use accumulator_bits >= "
            f"{bound.bit_length() + 1}, fewer element or scale bits, or a smaller scale_product_bits"
        )
    return bound


def _bound_of(
    weights: npt.NDArray[np.int16], activation: VectorFormat, product_shift: int, product_bits: int
) -> int:
    elements, scales = split(weights)
    products = multiply_scales(scales, activation.smax, product_shift, product_bits)
    sums = (np.abs(elements).sum(axis=-1) * products).reshape(len(weights), -1).sum(axis=1)
    return int(sums.max()) * activation.qmax


def check_sum_of_taps(
    layer: str,
    weights: npt.NDArray[np.int16],
    activation: VectorFormat,
    product_bits: int,
    accumulator_bits: int,
) -> int:
    """The largest magnitude of a depthwise convolution's accumulators, by `weights` int16[K, R, SV, V+1].

    QuantizationError if it does not fit `accumulator_bits` signed bits, or a scale not the `product_bits`
    that the scaling multiplier takes.
    """
    elements, scales = split(weights)
    if product_bits and scales.max() >= 1 << product_bits:
        raise QuantizationError(
            f"layer '{layer}': the weight scale {scales.max()} does not fit the "
            f"scale_product_bits={product_bits} of the scaling multiplier; widen them, or take fewer weight "
            f"scale bits"
        )
    sums = (np.abs(elements) * scales[..., None]).sum(axis=(1, 2, 3))
    bound, limit = int(sums.max()) * activation.qmax * activation.smax, 1 << (accumulator_bits - 1)
    if bound >= limit:
        raise QuantizationError(
            f"layer '{layer}': the taps of channel {int(sums.argmax())} sum up to {sums.max()}, so that with "
            f"inputs up to {activation.qmax} * {activation.smax} its accumulator can reach {bound}, but "
            f"accumulator_bits={accumulator_bits} hold less than {limit}; widen it, or take narrower formats"
        )
    return bound


def _largest_product(
    weight: VectorFormat, activation: VectorFormat, product_shift: int, product_bits: int
) -> int:
    return int(multiply_scales(weight.smax, activation.smax, product_shift, product_bits))
