"""Quantization with straight-through gradients: forward the rounded value, backward as if nothing were.

Bengio, Leonard, Courville, "Estimating or Propagating Gradients Through Stochastic Neurons" (2013); clipped,
as in Hubara et al., "Quantized Neural Networks" (JMLR 2018): where a value saturates, there is no gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tvm_vsq.formats import VectorFormat
from tvm_vsq.torch_graph.integer_layers import QuantizedForm
from tvm_vsq.torch_graph.vectors import dequantize, integer_steps, requantize
from tvm_vsq.tvm_compat import Call


class _Vectors(NamedTuple):
    """What vsq.quantize hands to vsq.dequantize: its operand, the vectors, and what does not saturate."""

    x: Tensor
    vectors: Tensor
    is_kept: Tensor


def quantize_operator(call: Call) -> Callable[..., Any]:
    """vsq.quantize for `dequantize_operator`. An element saturates if its vector's scale cannot hold it."""
    form = QuantizedForm.of(call)
    fmt = form.format

    def run(x: Tensor) -> _Vectors:
        with torch.no_grad():
            steps = integer_steps(x, form.inv)
            vectors = requantize(steps, fmt, form.guard_bits, form.scales)
            unit = (vectors[..., -1].to(torch.float32) * 2.0**form.guard_bits).repeat_interleave(
                fmt.vector_size, dim=-1
            )[..., : x.shape[-1]]
            return _Vectors(x, vectors, (steps <= fmt.qmax * unit) & (steps >= fmt.lo * unit))

    return run


def dequantize_operator(call: Call) -> Callable[..., Any]:
    """vsq.dequantize of what `quantize_operator` makes."""
    channels = int(call.attrs["channels"])

    def run(quantized: _Vectors, gamma: Tensor) -> Tensor:
        value = dequantize(quantized.vectors, gamma, channels)
        return _replace(quantized.x * quantized.is_kept, value)

    return run


def quantize_weights(w: Tensor, fmt: VectorFormat) -> Tensor:
    """`w` [K, ..., C] with the values of its vectors, straight through (docs/numerics.md, section 3.1).

    Elements are rounded against the integer scale, scales hold the largest weight ("integer", "max").
    """
    with torch.no_grad():
        vectors, gamma = weight_vectors(w, fmt)
        value = dequantize(vectors, gamma, w.shape[-1])
    return _replace(w, value)


def weight_vectors(w: Tensor, fmt: VectorFormat) -> tuple[Tensor, Tensor]:
    """int16[K, ..., CV, V+1] and gamma float32[K]: what `numerics.quantize_weights` gives, in torch."""
    missing = -w.shape[-1] % fmt.vector_size
    values = torch.nn.functional.pad(w.to(torch.float64), (0, missing))
    values = torch.unflatten(values, -1, (-1, fmt.vector_size))
    peak = values.abs().amax(-1, keepdim=True)
    gamma = (peak.flatten(1).amax(1) / (fmt.qmax * fmt.smax)).to(torch.float32)
    gamma = gamma.masked_fill(gamma == 0, 1.0)
    step = gamma.to(torch.float64).reshape(-1, *[1] * (peak.ndim - 1))
    scale = torch.round(peak / (fmt.qmax * step)).clamp(1, fmt.smax)
    elements = torch.round(values / (step * scale)).clamp(fmt.lo, fmt.qmax)
    return torch.cat([elements, scale], dim=-1).to(torch.int16), gamma


def _replace(x: Tensor, value: Tensor) -> Tensor:
    """`value`, with the gradient of `x`."""
    return _StraightThrough.apply(x, value)  # type: ignore[no-any-return,no-untyped-call]


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, _x: Tensor, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None
