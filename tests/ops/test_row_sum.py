"""Sums of 32-bit numbers on the chip, and tensors of such that belong to the program: the same bits
everywhere.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.ops.layers import Epilogue, chain_of, check, function_of, random_vectors
from tests.ops.test_rows import PEAK, draw_rows, random_hardware
from tests.seeds import seeds
from tests.vectors import tensor_of

from tvm_vsq.graph import constant
from tvm_vsq.layers.row_tables import RECIPROCAL_EXPONENT, exponential_table, reciprocal_table
from tvm_vsq.numerics import accumulate
from tvm_vsq.numerics.rows import probability_rows, saturated
from tvm_vsq.ops.dense.relax import dense
from tvm_vsq.ops.row_sum.relax import row_sum
from tvm_vsq.ops.softmax.relax import softmax


def draw_other(rng, shape):
    return draw_rows(rng, *[1 if rng.integers(2) else extent for extent in shape[:-1]], shape[-1])


@pytest.mark.parametrize("seed", seeds(32))
def test_sums_agree_everywhere(seed):
    rng = np.random.default_rng(seed)
    hw = random_hardware(rng)
    x = draw_rows(rng, *rng.integers(1, (3, 4, 6, 120)).tolist())
    other = draw_other(rng, x.shape)
    epilogue = Epilogue.draw(rng, hw, x.shape[-1], PEAK, act_signed=1, vector_size=hw.vector_size)
    expected = epilogue.apply(hw, saturated(x.astype(np.int64) + other), None)
    inputs = [x, other] if rng.integers(2) else [x]

    def build(x, *given):
        return row_sum(x, constant(epilogue.params), *(given or [constant(other)]), **epilogue.attributes)

    check(function_of(build, *inputs), inputs, hw, expected)


@pytest.mark.parametrize("seed", seeds(24))
def test_what_is_added_to_results_of_a_layer_on_the_chip_is_the_same(seed):
    rng = np.random.default_rng(seed)
    hw = random_hardware(rng)
    n, w, channels, outputs = rng.integers(1, (3, 12, 2 * hw.vector_size, 40)).tolist()
    formats = hw.formats
    largest = formats.activation.qmax * formats.activation.smax * formats.weight.qmax * formats.weight.smax
    first = Epilogue.draw(rng, hw, outputs, largest, wide=1)
    first.attributes["channels"] = channels
    last = Epilogue.draw(rng, hw, outputs, PEAK, act_signed=1, vector_size=hw.vector_size, wide=1)
    x = random_vectors(rng, hw, bool(first.attributes["act_signed"]), n, w, channels=channels)
    weights = tensor_of(rng, formats.weight, outputs, channels=channels)
    other = draw_other(rng, (n, w, outputs))

    def build(emit, x, other):
        made = emit(dense(x, constant(weights), constant(first.params), **first.attributes))
        return row_sum(made, constant(last.params), other, **last.attributes)

    rows = first.apply(hw, accumulate(x, weights, hw.product_shift, hw.product_bits), None).astype(np.int64)
    expected = last.apply(hw, saturated(rows + other), None)
    check(chain_of(build, x, other), [x, other], hw, expected)


@pytest.mark.parametrize("seed", seeds(16))
def test_masks_that_belong_to_the_program_are_added_like_others(seed):
    rng = np.random.default_rng(seed)
    hw = random_hardware(rng)
    x = draw_rows(rng, *rng.integers(1, (3, 4, 6, 120)).tolist()) >> 2
    mask = draw_other(rng, x.shape)
    mask = np.where(rng.random(mask.shape) < 0.5, -(1 << 30), 0).astype(np.int32)
    epilogue = Epilogue.draw(rng, hw, x.shape[-1], PEAK, act_signed=1, vector_size=hw.vector_size)
    tables = np.stack([exponential_table(), reciprocal_table()])
    numbers = {"argument_shift": int(rng.integers(13)), "exponent": RECIPROCAL_EXPONENT}
    rows = saturated(x.astype(np.int64) + mask)
    expected = epilogue.apply(hw, probability_rows(rows, *tables, *numbers.values(), masked=True), None)

    def build(x):
        others = (constant(tables), constant(epilogue.params), constant(mask))
        return softmax(x, *others, **numbers, **epilogue.attributes)

    check(function_of(build, x), [x], hw, expected)
