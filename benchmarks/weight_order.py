"""Print what choosing elements against the rounded scale is worth: the table in docs/numerics.md.

Seeded Laplace-distributed weights, whose tails resemble those of trained layers; VS-Quant's own order
against the integer order, in dB of signal to quantization noise.
"""

from __future__ import annotations

import numpy as np

from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import dequantize, quantize_weights

SHAPE = (256, 768)
FORMATS = [(bits, scale_bits) for bits in (4, 6, 8) for scale_bits in (2, 4, 6, 8)]


def sqnr_db(w: np.ndarray, fmt: VectorFormat, order: str) -> float:
    """Signal to quantization noise of `w` [K, C]."""
    vectors, gamma = quantize_weights(w, fmt, order)
    noise = np.square(dequantize(vectors, gamma, w.shape[1]) - w).sum()
    return float(10 * np.log10(np.square(w).sum() / noise))


def table() -> str:
    """A Markdown table, one row for each element and scale width."""
    w = np.random.default_rng(0).laplace(size=SHAPE)
    rows = ["| element bits | scale bits | paper's order | integer order |", "| --- | --- | ---: | ---: |"]
    for bits, scale_bits in FORMATS:
        fmt = VectorFormat(bits, scale_bits, 16)
        paper, integer = (sqnr_db(w, fmt, order) for order in ("paper", "integer"))
        rows.append(f"| {bits} | {scale_bits} | {paper:.1f} | {integer:.1f} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
