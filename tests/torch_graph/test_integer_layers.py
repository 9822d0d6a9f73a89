"""Integer layers with constant weights, in torch: equal to NumPy at every size of their sums.

tests/ops compares all operators in torch with TIR and NumPy; here is what only constant weights have:
sums in float32, in one piece or several, and in float64 beyond.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vectors import vectors_of
from tvm import relax

from tvm_vsq import relax_ops
from tvm_vsq.formats import VectorFormat
from tvm_vsq.graph import constant
from tvm_vsq.numerics import (
    accumulate,
    inverse_step,
    post_process,
    quantize_activations,
)
from tvm_vsq.ops.conv2d.reference import conv2d_accumulate
from tvm_vsq.ops.conv2d.relax import conv2d
from tvm_vsq.ops.dense.relax import dense
from tvm_vsq.torch_graph import TorchGraph
from tvm_vsq.torch_graph.dot_products import Geometry, _pieces, plain_product

GAMMA = np.float32(2.0**-10)


def layer(
    x: np.ndarray,
    w: np.ndarray,
    fmt: VectorFormat,
    padding: int,
    *,
    params: np.ndarray | None = None,
    relu: int = 0,
) -> tuple[TorchGraph, np.ndarray]:
    """quantize and a wide layer, and its params; by default its results are its accumulators over 2^16."""
    if params is None:
        params = np.tile(np.array([1, 16, 0, 2**31 - 1], np.int32), (len(w), 1))
    var, builder = relax.Var("x", relax.TensorType(x.shape, "float32")), relax.BlockBuilder()
    with builder.function("main", [var]):
        with builder.dataflow():
            quantized = builder.emit(
                relax_ops.quantize(
                    var,
                    bits=fmt.bits,
                    scale_bits=fmt.scale_bits or 0,
                    vector_size=fmt.vector_size,
                    signed=int(fmt.signed),
                    guard_bits=2,
                    inv=float(inverse_step(GAMMA, 2)),
                )
            )
            operands = (quantized, constant(w), constant(params))
            call = (
                conv2d(*operands, padding=[padding] * 4, layer="a", wide=1, relu=relu)
                if w.ndim == 5
                else dense(*operands, layer="a", wide=1, relu=relu)
            )
            result = builder.emit_output(builder.emit(call))
        builder.emit_func_output(result)
    return TorchGraph(builder.get()["main"]), params


formats = st.builds(VectorFormat, st.integers(2, 8), st.integers(0, 10), st.just(16), st.booleans())


@settings(deadline=None, max_examples=40)
@given(formats, formats, st.integers(0, 2**31), st.sampled_from([1, 2, 16]), st.sampled_from([0, 1, 3]))
def test_sums_of_any_size_are_exact(activation, weight, seed, batch, kernel):
    rng = np.random.default_rng(seed)
    weight = VectorFormat(weight.bits, weight.scale_bits, 16, signed=True)
    channels = int(rng.integers(1, 70))
    taps = (kernel, kernel) if kernel else ()
    x = rng.standard_normal((batch, *([9, 7] if kernel else []), channels), np.float32)
    x *= float(GAMMA) * activation.qmax * activation.smax
    w = vectors_of(rng, weight, 24, *taps, -(-channels // 16), at_limit=0.5)
    graph, params = layer(x, w, activation, kernel // 2)
    quantized = quantize_activations(x, activation, GAMMA, 2)
    acc = (
        conv2d_accumulate(quantized, w, (1, 1), [kernel // 2] * 4, (1, 1), 0, 0)
        if kernel
        else accumulate(quantized, w, 0, 0)
    )
    np.testing.assert_array_equal(graph(torch.from_numpy(x)).numpy(), post_process(acc, params))


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("bits", [3, 5, 8])
def test_operands_at_their_limits_are_exact(bits, batch):
    # 3 x 3 with stride 1 is what Winograd's algorithm is for
    fmt = VectorFormat(bits, None, 64, signed=False)
    w = np.full((8, 3, 3, 2, 65), fmt.qmax // 2, np.int16)
    w[..., -1] = 1
    w[::2, ..., ::2] *= -1
    x = np.full((batch, 8, 8, 2, 65), fmt.qmax, np.int16)
    x[..., -1] = 1
    x[:, ::2, ::3, :, ::5] = 0
    product = plain_product(torch.from_numpy(w), Geometry(padding=(1, 1, 1, 1)), fmt.qmax)
    expected = conv2d_accumulate(x, w, (1, 1), (1, 1, 1, 1), (1, 1), 0, 0)
    np.testing.assert_array_equal(product(torch.from_numpy(x)).numpy(), expected)


@pytest.mark.parametrize("relu", [0, 1])
@pytest.mark.parametrize("sign", [-1, 1])
def test_results_saturate_at_both_ends_of_int32(sign, relu):
    fmt = VectorFormat(8, 10, 16)
    x = np.full((1, 16), fmt.qmax * fmt.smax * float(GAMMA), np.float32)
    w = np.full((2, 1, 17), sign * fmt.qmax, np.int16)
    w[..., -1] = fmt.smax
    params = np.array([[2**16 - 1, 0, 0, 2**31 - 1], [1, 62, sign * (2**31 - 1), 2**31 - 1]], np.int32)
    graph = layer(x, w, fmt, 0, params=params, relu=relu)[0]
    expected = post_process(accumulate(quantize_activations(x, fmt, GAMMA, 2), w, 0, 0), params, bool(relu))
    assert expected[0, 0] == (2**31 - 1 if sign > 0 else 0 if relu else -(2**31))
    np.testing.assert_array_equal(graph(torch.from_numpy(x)).numpy(), expected)


@pytest.mark.parametrize(
    ("element", "peak", "pieces", "dtype"),
    [
        (4, 2**16, 1, torch.float32),  # 64 * 4 * 2^16 = 2^24
        (5, 2**16, 2, torch.float32),
        (32, 2**16, 8, torch.float32),
        (33, 2**16, 1, torch.float64),
    ],
)
def test_sums_beyond_24_bits_are_split_or_in_float64(element, peak, pieces, dtype):
    found = _pieces(torch.full((3, 64), float(element), dtype=torch.float64), peak)
    assert [(len(found), piece.dtype) for piece in found[:1]] == [(pieces, dtype)]
    assert torch.cat(found, dim=-1).sum() == 3 * 64 * element


def test_a_lowered_float32_precision_changes_nothing():
    rng = np.random.default_rng(0)
    fmt = VectorFormat(8, None, 16, signed=True)
    x, w = vectors_of(rng, fmt, 33, 4, at_limit=0.5), vectors_of(rng, fmt, 24, 4, at_limit=0.5)
    product = plain_product(torch.from_numpy(w), None, fmt.qmax)
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = product(torch.from_numpy(x))
    finally:
        torch.set_float32_matmul_precision("highest")
    np.testing.assert_array_equal(found.numpy(), accumulate(x, w, 0, 0))
