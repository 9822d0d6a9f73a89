"""The accumulators of integer layers in torch (docs/numerics.md, section 4), exact in floating point.

A sum of integers is exact, in whatever order and with whatever fused multiply-add, as long as the sum of all
magnitudes stays within 2^24 for float32 or 2^53 for float64: then so does every partial sum, and all of them
have a representation. Algorithms that compute other products than these (Winograd's) would break that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tvm_vsq.torch_graph.layer_form import Product
from tvm_vsq.torch_graph.spatial import padded
from tvm_vsq.torch_graph.vectors import scaled_elements

_MOST_PIECES = 8


@dataclass(frozen=True)
class Geometry:
    """Of a convolution: `strides` and `dilation` vertical, horizontal; `padding` top, left, bottom, right."""

    strides: Sequence[int] = (1, 1)
    padding: Sequence[int] = (0, 0, 0, 0)
    dilation: Sequence[int] = (1, 1)


def vector_product(call: Any, peak: int, w: Tensor, geometry: Geometry | None) -> Product:
    """Accumulators of the operator `call` for weights `w`; `peak` bounds |element * scale| of its input."""
    shift = int(call.attrs["product_shift"])
    if shift == 0:
        return plain_product(w, geometry, peak)
    return rounded_product(w, geometry, shift, int(call.attrs["product_bits"]))


def plain_product(w: Tensor, geometry: Geometry | None, peak: int) -> Product:
    """Accumulators of exact scale products, for vectors `w` int16[K, R, S, CV, V+1] or [K, CV, V+1].

    The scales are multiplied into the elements on both sides. `peak` bounds |element * scale| of the input.
    """
    folded = scaled_elements(w, torch.float64).flatten(-2)
    pieces = _pieces(folded, peak)
    sizes = [piece.shape[-1] for piece in pieces]
    kernels = [piece if geometry is None else piece.permute(0, 3, 1, 2) for piece in pieces]

    def product(x: Tensor) -> Tensor:
        with exact_float32() as is_exact:
            dtype = kernels[0].dtype if is_exact else torch.float64
            parts = torch.split(scaled_elements(x, dtype).flatten(-2), sizes, dim=-1)
            sums = [
                _apply(part, kernel.to(dtype), geometry).to(torch.int64)
                for part, kernel in zip(parts, kernels, strict=True)
            ]
        return torch.stack(sums).sum(0) if len(sums) > 1 else sums[0]

    return product


def _pieces(folded: Tensor, peak: int) -> list[Tensor]:
    """`folded` float64[..., C] in as few groups of channels as make float32 exact, else whole, in float64.

    float64 always is: accumulators have at most 46 bits (`numerics.check_accumulator`).
    """
    for count in range(1, _MOST_PIECES + 1):
        pieces = folded.chunk(count, dim=-1)
        if all(float(piece.abs().flatten(1).sum(1).max()) * peak <= 2**24 for piece in pieces):
            return [piece.to(torch.float32) for piece in pieces]
    return [folded]


def _apply(x: Tensor, kernel: Tensor, geometry: Geometry | None) -> Tensor:
    if geometry is None:
        return F.linear(x, kernel)
    x, padding = padded(x.movedim(-1, -3), geometry.padding)
    return F.conv2d(x, kernel, None, geometry.strides, padding, geometry.dilation).movedim(-3, -1)


@contextmanager
def exact_float32() -> Iterator[bool]:
    """Without what torch may do to float32; yields False where it is told to compute it with fewer bits."""
    backend: Any = torch.backends.mkldnn
    settings = {backend.conv.fp32_precision, backend.matmul.fp32_precision}
    # NNPACK convolves by Winograd's algorithm
    with torch.autocast("cpu", enabled=False), torch.backends.nnpack.flags(enabled=False):
        yield settings <= {"none", "ieee"}


def rounded_product(w: Tensor, geometry: Geometry | None, shift: int, bits: int) -> Product:
    """As `plain_product`, with scale products rounded half up to their `bits` high bits (0: no limit).

    What a vector contributes then depends on both scales at once, so vectors are summed one by one: dot
    products below 64 * 255 * 127 < 2^21 and scale products below 2^20 in float32, their sum in float64.
    """
    kernel = w[:, None, None] if geometry is None else w
    limit = float((1 << bits) - 1) if bits else torch.inf
    strides, padding, dilation = astuple(geometry or Geometry())
    top, left, bottom, right = padding

    def product(x: Tensor) -> Tensor:
        image = x.reshape(1, 1, -1, *x.shape[-2:]) if geometry is None else x
        image = F.pad(image, (0, 0, 0, 0, left, right, top, bottom))
        height, width = (
            (image.shape[1 + axis] - dilation[axis] * (kernel.shape[1 + axis] - 1) - 1) // strides[axis] + 1
            for axis in (0, 1)
        )
        total = torch.zeros((len(image), height, width, len(kernel)), dtype=torch.float64)
        for r in range(kernel.shape[1]):
            for s in range(kernel.shape[2]):
                rows = image[:, r * dilation[0] :: strides[0]][:, :height]
                taps = rows[:, :, s * dilation[1] :: strides[1]][:, :, :width]
                for v in range(kernel.shape[3]):
                    _add(total, taps[..., v, :], kernel[:, r, s, v], shift, limit)
        return total.to(torch.int64).reshape(*x.shape[:-2], -1) if geometry is None else total.to(torch.int64)

    return product


def _add(total: Tensor, x: Tensor, w: Tensor, shift: int, limit: float) -> None:
    """Add to `total` [..., K] what one vector x int16[..., V+1] and w int16[K, V+1] give."""
    with exact_float32() as is_exact:
        dtype = torch.float32 if is_exact else torch.float64
        dots = F.linear(x[..., :-1].to(dtype), w[:, :-1].to(dtype))
    scales = x[..., -1:].to(torch.float32) * w[:, -1].to(torch.float32)
    rounded = torch.floor((scales + 2.0 ** (shift - 1)) * 2.0**-shift).clamp_(max=limit)
    total.addcmul_(rounded.to(torch.float64), dots.to(torch.float64))
