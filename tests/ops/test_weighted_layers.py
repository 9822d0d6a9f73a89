"""Layers with weights, in TIR and in torch, equal the NumPy reference bit for bit, in any formats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from tests.ops.layers import function_of, on_cpu
from tests.vectors import vectors_of

from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import (
    accumulate,
    post_process,
    requantize,
)
from tvm_vsq.ops.conv2d.reference import conv2d_accumulate
from tvm_vsq.ops.conv2d.relax import conv2d
from tvm_vsq.ops.dense.relax import dense

INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class Case:
    """Formats and the epilogue of a random layer."""

    weight: VectorFormat
    activation: VectorFormat
    output: VectorFormat
    product_shift: int
    product_bits: int
    guard_bits: int
    relu: int
    wide: int
    residual: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        size = int(rng.choice([8, 16, 32, 64]))

        def fmt(signed: bool) -> VectorFormat:
            return VectorFormat(int(rng.integers(2, 9)), int(rng.integers(0, 11)), size, signed)

        weight, activation, output = fmt(True), fmt(bool(rng.integers(2))), fmt(bool(rng.integers(2)))
        full = (weight.scale_bits or 0) + (activation.scale_bits or 0)
        kept = int(rng.integers(1, full + 1)) if full and rng.integers(2) else full
        return cls(
            weight,
            activation,
            output,
            product_shift=full - kept,
            product_bits=kept,
            guard_bits=int(rng.integers(0, 9)),
            relu=int(rng.integers(2)),
            wide=int(rng.integers(4) == 0),
            residual=bool(rng.integers(2)),
        )

    def epilogue(self, rng: np.random.Generator, acc: np.ndarray) -> tuple[np.ndarray, int, int]:
        """params [K, 4], res_mult, res_shift that spread the results around the output's range."""
        channels = acc.shape[-1]
        reach = (self.output.qmax * self.output.smax) << self.guard_bits
        mult = rng.integers(1, 2**16, channels)
        largest = max(1, int(np.abs(acc).max()))
        fitting = np.array([(largest * int(m) // (2 * reach)).bit_length() for m in mult])
        shift = np.clip(fitting + rng.integers(-1, 3, channels), 0, 62)
        clip = np.where(rng.integers(3, size=channels) == 0, max(1, reach // 2), INT32_MAX)
        bias = rng.integers(-reach, reach + 1, channels)
        res_shift = rng.integers(0, 63) if rng.integers(4) == 0 else rng.integers(8, 17)
        params = np.stack([mult, shift, bias, clip], axis=1).astype(np.int32)
        return params, int(rng.integers(2**16)), int(res_shift)

    def static_scales(self, channels: int) -> list[int]:
        """Of the output, one for each vector, for every other residual-free case; else none."""
        if self.wide or self.residual or self.output.bits % 2:
            return []
        vectors = self.output.vectors(channels)
        return np.random.default_rng(channels).integers(1, self.output.smax + 1, vectors).tolist()

    def attributes(self, res_mult: int, res_shift: int, channels: int) -> dict[str, object]:
        return {
            "product_shift": self.product_shift,
            "product_bits": self.product_bits,
            "relu": self.relu,
            "res_mult": res_mult,
            "res_shift": res_shift,
            "wide": self.wide,
            "out_bits": self.output.bits,
            "out_scale_bits": self.output.scale_bits or 0,
            "out_signed": int(self.output.signed),
            "guard_bits": self.guard_bits,
            "act_signed": int(self.activation.signed),
            "out_scales": self.static_scales(channels),
        }

    def expected(self, acc, params, residual, res_mult, res_shift):  # type: ignore[no-untyped-def]
        y = post_process(acc, params, bool(self.relu), residual, res_mult, res_shift)
        scales = self.static_scales(acc.shape[-1]) or None
        return y if self.wide else requantize(y, self.output, self.guard_bits, scales)


@pytest.mark.parametrize("seed", range(45))
def test_a_random_convolution_equals_the_reference(seed):
    rng = np.random.default_rng(seed)
    case = Case.draw(rng)
    size = case.weight.vector_size
    kernel, strides, dilation = rng.integers(1, 5, 2), rng.integers(1, 4, 2), rng.integers(1, 3, 2)
    padding = rng.integers(0, 5, 4)
    reach = dilation * (kernel - 1) + 1
    image = np.maximum(rng.integers(1, 8, 2), reach - padding[:2] - padding[2:])
    channels, vectors = int(rng.integers(1, 2 * size + 2)), int(rng.integers(1, 4))
    x = vectors_of(rng, case.activation, int(rng.integers(1, 3)), *image, vectors)
    w = vectors_of(rng, case.weight, channels, *kernel, vectors)
    geometry = (strides.tolist(), padding.tolist(), dilation.tolist())
    acc = conv2d_accumulate(x, w, *geometry, case.product_shift, case.product_bits)
    params, res_mult, res_shift = case.epilogue(rng, acc)
    residual = vectors_of(rng, case.output, *acc.shape[:-1], -(-channels // size)) if case.residual else None

    def build(*tensors):
        strides, padding, dilation = geometry
        attributes = case.attributes(res_mult, res_shift, channels)
        return conv2d(
            *tensors, strides=strides, padding=padding, dilation=dilation, layer=f"conv{seed}", **attributes
        )

    arrays = [x, w, params] + ([] if residual is None else [residual])
    result = on_cpu(function_of(build, *arrays), arrays)
    expected = case.expected(acc, params, residual, res_mult, res_shift)
    assert result.dtype == expected.dtype
    assert np.array_equal(result, expected), case


@pytest.mark.parametrize("seed", range(100, 125))
def test_a_random_matrix_product_equals_the_reference(seed):
    rng = np.random.default_rng(seed)
    case = Case.draw(rng)
    size = case.weight.vector_size
    leading = rng.integers(1, 5, int(rng.integers(0, 3))).tolist()
    channels, vectors = int(rng.integers(1, 2 * size + 2)), int(rng.integers(1, 6))
    x = vectors_of(rng, case.activation, *leading, vectors)
    w = vectors_of(rng, case.weight, channels, vectors)
    acc = accumulate(x, w, case.product_shift, case.product_bits)
    params, res_mult, res_shift = case.epilogue(rng, acc)
    residual = vectors_of(rng, case.output, *leading, -(-channels // size)) if case.residual else None

    def build(*tensors):
        return dense(*tensors, layer=f"dense{seed}", **case.attributes(res_mult, res_shift, channels))

    arrays = [x, w, params] + ([] if residual is None else [residual])
    result = on_cpu(function_of(build, *arrays), arrays)
    expected = case.expected(acc, params, residual, res_mult, res_shift)
    assert result.dtype == expected.dtype
    assert np.array_equal(result, expected), case


@pytest.mark.parametrize("guard_bits", [0, 5, 6, 7, 8])
def test_requantization_rounds_right_next_to_every_half(guard_bits):
    """Results that are all bias, one off the middle between two elements: 25 bits at 8 guard bits."""
    fmt = VectorFormat(8, 10, 16)
    rows = []
    for scale in (1023, 1021, 517, 3):
        step = scale << guard_bits
        middles = [(2 * n + 1) * step // 2 + off for n in (126, 125, 100, 77, 3) for off in (-1, 0, 1)]
        rows += [fmt.qmax * step, *middles]
    params = np.array([[0, 0, y, INT32_MAX] for y in rows], np.int32)
    x, w = np.zeros((1, 1, 17), np.int16), np.zeros((len(rows), 1, 17), np.int16)
    form = {"out_bits": 8, "out_scale_bits": 10, "out_signed": 1, "guard_bits": guard_bits}
    module = function_of(lambda *tensors: dense(*tensors, layer="fc", **form), x, w, params)
    result = on_cpu(module, [x, w, params])
    assert result[0, :, -1].tolist() == [1023, 1021, 517, 3]
    assert np.array_equal(result, requantize(np.array([rows]), fmt, guard_bits))
