"""Rows on the chip whose numbers are turned in pairs: whatever computes them gives the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from tests.accelerators import accelerator, random_formats
from tests.ops.layers import INT32_MAX, Epilogue, chain_of, check, function_of, random_vectors
from tests.ops.test_rows import PEAK, draw_rows
from tests.seeds import seeds
from tests.vectors import tensor_of

from tvm_vsq.graph import constant
from tvm_vsq.numerics import accumulate
from tvm_vsq.numerics.rows import rotate_rows, turning_factors
from tvm_vsq.ops.dense.relax import dense
from tvm_vsq.ops.rotary.relax import rotary


def random_hardware(rng):
    """Any formats, with scratchpads that hold a few rows, as they are and turned."""
    entries = {"inp": 8, "out": 80, "wgt": 8, "acc": 400, "par": 80, "uop": 64}
    return accelerator({"name": "small", "dram": {"capacity_mib": 4}}, random_formats(rng, entries))


def draw_turns(rng, *shape):
    """Cosines and sines of any angles, with those of right angles among them, as factors."""
    angles = rng.uniform(-4, 4, shape)
    angles[rng.random(shape) < 0.2] = rng.choice([0, np.pi / 2, np.pi, -np.pi / 2])
    return turning_factors(np.concatenate([np.cos(angles), np.sin(angles)], -1).astype(np.float32))


def draw(rng, hw):
    """Rows, factors that are repeated along some axes, and how many channels there are."""
    half = hw.group_channels * int(rng.integers(1, 3))
    while (heads := int(rng.integers(1, 4))) * 2 * half > 64 * hw.output_lanes:
        half = hw.group_channels
    leading = rng.integers(1, (3, 3, 6)).tolist()
    repeated = [1 if rng.integers(2) else extent for extent in leading]
    return draw_rows(rng, *leading, heads * 2 * half), draw_turns(rng, *repeated, half)


def build_with(epilogue, factors):
    def build(x, *given):
        turned_by = given[0] if given else constant(factors)
        return rotary(x, constant(epilogue.params), turned_by, **epilogue.attributes)

    return build


@pytest.mark.parametrize("seed", seeds(40))
def test_rotations_agree_everywhere(seed):
    rng = np.random.default_rng(seed)
    hw = random_hardware(rng)
    x, factors = draw(rng, hw)
    epilogue = Epilogue.draw(rng, hw, x.shape[-1], PEAK, act_signed=1, vector_size=hw.vector_size)
    expected = epilogue.apply(hw, rotate_rows(x, factors), None)
    inputs = [x, factors] if rng.integers(2) else [x]
    module = function_of(build_with(epilogue, factors), *inputs)
    check(module, inputs, hw, expected)


@pytest.mark.parametrize("seed", seeds(40))
def test_results_of_a_layer_that_are_turned_on_the_chip_are_the_same(seed):
    rng = np.random.default_rng(seed)
    hw = random_hardware(rng)
    formats, half = hw.formats, hw.group_channels
    n, w, channels = rng.integers(1, (3, 12, 2 * hw.vector_size)).tolist()
    outputs = 2 * half * int(rng.integers(1, 3))
    largest = formats.activation.qmax * formats.activation.smax * formats.weight.qmax * formats.weight.smax
    first = Epilogue.draw(rng, hw, outputs, largest, wide=1)
    first.attributes["channels"] = channels
    last = Epilogue.draw(rng, hw, outputs, PEAK, act_signed=1, vector_size=hw.vector_size)
    x = random_vectors(rng, hw, bool(first.attributes["act_signed"]), n, w, channels=channels)
    weights = tensor_of(rng, formats.weight, outputs, channels=channels)
    factors = draw_turns(rng, *[1 if rng.integers(2) else each for each in (n, w)], half)
    inputs = [x, factors] if rng.integers(2) else [x]

    def build(emit, x, *given):
        made = emit(dense(x, constant(weights), constant(first.params), **first.attributes))
        return build_with(last, factors)(made, *given)

    module = chain_of(build, *inputs)
    rows = first.apply(hw, accumulate(x, weights, hw.product_shift, hw.product_bits), None)
    check(module, inputs, hw, last.apply(hw, rotate_rows(rows, factors), None))


def turned(x, angles):
    """Rows [..., heads * D] in float64, by angles [..., D/2]."""
    a, b = np.moveaxis(x.reshape(*x.shape[:-1], -1, 2, angles.shape[-1]), -2, 0)
    whole = (a + 1j * b) * np.exp(1j * angles)[..., None, :]
    return np.stack([whole.real, whole.imag], -2).reshape(x.shape)


def test_turns_are_rotations():
    rng = np.random.default_rng(0)
    x = rng.integers(-(1 << 22), 1 << 22, (5, 3 * 64))
    angles = rng.uniform(-7, 7, (5, 32))
    factors = turning_factors(np.concatenate([np.cos(angles), np.sin(angles)], -1).astype(np.float32))
    error = rotate_rows(x, factors) - turned(x, angles)
    halves = abs(x.reshape(5, 3, 2, 32)).sum(-2, keepdims=True)
    assert (abs(error.reshape(5, 3, 2, 32)) <= 1.5 + 2.0**-15 * halves).all()


def test_rows_of_the_first_position_are_not_changed():
    x = np.arange(-64, 64, dtype=np.int32).reshape(1, 128)
    still = np.repeat([[1.0, 0.0]], 32, axis=1).astype(np.float32)
    assert np.array_equal(rotate_rows(x, turning_factors(still)), x)


def test_what_is_too_large_saturates():
    rng = np.random.default_rng(0)
    hw = accelerator({"accumulator_bits": 46})
    x = (rng.choice([-1, 1], (1, 1, 3, 64)) * rng.integers(1 << 30, 1 << 31, (1, 1, 3, 64))).astype(np.int32)
    angles = rng.uniform(-4, 4, (1, 1, 3, 32))
    factors = turning_factors(np.concatenate([np.cos(angles), np.sin(angles)], -1))
    epilogue = Epilogue.draw(rng, hw, 64, PEAK, act_signed=1, vector_size=hw.vector_size, wide=1, relu=0)
    epilogue.params[:] = [1, 0, 0, INT32_MAX]
    expected = epilogue.apply(hw, rotate_rows(x, factors), None)
    assert (abs(expected - turned(x, angles)) > 1 << 20).any()
    check(function_of(build_with(epilogue, factors), x), [x], hw, expected)
