"""Accumulators of layers without weights (docs/numerics.md, section 4): their steps and their size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats import VectorFormat
from tvm_vsq.graph import static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.network import source_of

_COEFFICIENT_BITS = 32
"""Of VEC's immediate, in two's complement."""


def weightless_steps(call: Any, gamma: float) -> npt.NDArray[np.float64]:
    """float64[K]: what a step of each accumulator is worth. call: in fp32; gamma: of its input."""
    return np.full(static_shape(call.args[0])[-1], float(gamma) / _divisor(call))


def weightless_bound(call: Any, fmt: VectorFormat) -> int:
    """The largest magnitude of an accumulator, of inputs in `fmt`."""
    return _divisor(call) * fmt.qmax * fmt.smax


def product_rounding(x: VectorFormat, other: VectorFormat, hardware: HardwareConfig) -> int:
    """How many bits products of elements times scales in two formats lose to fit an accumulator."""
    largest, bits = _largest(x) * _largest(other), 0
    while (largest + (1 << bits >> 1)) >> bits >= 1 << (hardware.accumulator_bits - 1):
        bits += 1
    return bits


def product_bound(x: VectorFormat, other: VectorFormat, hardware: HardwareConfig) -> int:
    """The largest magnitude of such products, rounded."""
    bits = product_rounding(x, other, hardware)
    return (x.qmax * x.smax * other.qmax * other.smax + (1 << bits >> 1)) >> bits


def weightless_misfit(call: Any, fmt: VectorFormat, hardware: HardwareConfig) -> str:
    """Why `hardware` cannot accumulate what `call` does with inputs in `fmt`; "" if it can."""
    divisor, bits = _divisor(call), hardware.accumulator_bits
    largest = _largest(fmt)
    if divisor * largest >= 1 << (bits - 1):
        factor = f"{divisor}, its divisor, times " if divisor > 1 else ""
        return (
            f"{factor}an element times its scale can reach {divisor * largest}, which does not fit "
            f"accumulator_bits={bits}; widen it, or take narrower formats"
        )
    if divisor >= 1 << (_COEFFICIENT_BITS - 1):
        return f"its divisor is {divisor}, which does not fit a coefficient of {_COEFFICIENT_BITS} bits"
    return ""


def _largest(fmt: VectorFormat) -> int:
    """The vector unit goes by what a code can stand for, which is one more below 0 than a quantizer gives."""
    return (1 << (fmt.bits - 1) if fmt.signed else fmt.qmax) * fmt.smax


def _divisor(call: Any) -> int:
    source = source_of(call)
    return 1 if source is None else source.divisor(call)
