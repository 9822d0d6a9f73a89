"""Rows on the chip, normalized or as probabilities: whatever computes them gives the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from tests.accelerators import accelerator, random_formats
from tests.ops.layers import INT32_MAX, Epilogue, chain_of, check, function_of, random_vectors
from tests.seeds import seeds
from tests.vectors import tensor_of

from tvm_vsq.formats.rows import Normalization
from tvm_vsq.formats.table import TABLE_SEGMENTS
from tvm_vsq.graph import constant
from tvm_vsq.isa import decode_all
from tvm_vsq.layers.row_tables import (
    RECIPROCAL_EXPONENT,
    ROOT_EXPONENT,
    exponential_table,
    reciprocal_root_table,
    reciprocal_table,
)
from tvm_vsq.numerics import accumulate
from tvm_vsq.numerics.rows import normalize_rows, probability_rows, saturated
from tvm_vsq.ops.dense.relax import dense
from tvm_vsq.ops.layer_norm.relax import layer_norm
from tvm_vsq.ops.softmax.relax import softmax

PEAK = 1 << 16


def draw_rows(rng, *shape):
    """Numbers of 32 bits: small ones, large ones, rows that are all equal."""
    bits = rng.integers(1, 31, (*shape[:-1], 1))
    rows = rng.integers(-(2**31), 2**31, shape) >> (31 - bits)
    rows[rng.random(shape[:-1]) < 0.1] = rng.integers(-100, 100)
    return rows.astype(np.int32)


def random_hardware(rng):
    """Any formats, with scratchpads that hold a few rows, and tables."""
    entries = {"inp": 8, "out": 80, "wgt": 8, "acc": 260, "par": 80, "uop": 64}
    formats = random_formats(rng, entries)
    if rng.integers(2):  # parameters of whole rows do not fit beside the tables, and come piece by piece
        lanes, vector = formats["output_lanes"], formats["vector_size"]
        fitting = 2 * -(-TABLE_SEGMENTS // lanes) + 4 * max(1, vector // lanes)
        formats["scratchpads"]["par_kib"] = -(-fitting * lanes * 88 // 8192)
    return accelerator({"name": "small", "dram": {"capacity_mib": 4}}, formats)


def hardware_for_pieces(rng):
    """Any formats of few lanes, and of how many channels parameters fit beside two tables."""
    entries = {"inp": 8, "out": 200, "wgt": 8, "acc": 900, "par": 1, "uop": 64}
    while (formats := random_formats(rng, entries))["output_lanes"] > 8:
        pass
    lanes, vector = formats["output_lanes"], formats["vector_size"]
    tables, two_groups = 2 * TABLE_SEGMENTS // lanes, 2 * max(1, vector // lanes)
    kib = -(-(tables + two_groups) * lanes * 88 // 8192)
    formats["scratchpads"]["par_kib"] = kib
    hw = accelerator({"name": "small", "dram": {"capacity_mib": 4}}, formats)
    return hw, (kib * 8192 // (lanes * 88) - tables) * lanes


def draw(rng):
    hw = random_hardware(rng)
    *leading, channels = rng.integers(1, (3, 4, 6, 120)).tolist()
    x = draw_rows(rng, *leading, channels)
    other = None
    if rng.integers(2):
        axes = [1 if rng.integers(2) else extent for extent in leading]
        other = draw_rows(rng, *axes, channels)
    epilogue = Epilogue.draw(rng, hw, channels, PEAK, act_signed=1, vector_size=hw.vector_size)
    if rng.integers(2):  # weights of norms may be negative
        epilogue.params[rng.random(channels) < 0.3, 0] *= -1
    return hw, x, other, epilogue


def check_rows(hw, x, other, epilogue, accumulate, build):
    """NumPy's `accumulate` of the rows with the tensor that is added to them, and the same through the
    compiler.
    """
    rows = x.astype(np.int64)
    if other is not None:
        rows = saturated(rows + other)
    expected = epilogue.apply(hw, accumulate(rows), None)
    inputs = [x] if other is None else [x, other]
    module = function_of(lambda *given: build(*given, **epilogue.attributes), *inputs)
    return check(module, inputs, hw, expected)


def check_probabilities(hw, x, other, epilogue, shift):
    """`check_rows` of a softmax."""
    tables = np.stack([exponential_table(min(20, hw.accumulator_bits - 2)), reciprocal_table()])

    def build(x, *other, **attributes):
        numbers = {"argument_shift": shift, "exponent": RECIPROCAL_EXPONENT}
        return softmax(x, constant(tables), constant(epilogue.params), *other, **numbers, **attributes)

    def accumulate(rows):
        return probability_rows(rows, *tables, shift, RECIPROCAL_EXPONENT, masked=other is not None)

    return check_rows(hw, x, other, epilogue, accumulate, build)


@pytest.mark.parametrize("seed", seeds(40))
def test_normalization_agrees_everywhere(seed):
    rng = np.random.default_rng(seed)
    hw, x, other, epilogue = draw(rng)
    shift = int(rng.integers(12))
    how = Normalization(
        centered=bool(rng.integers(2)),
        square_shift=shift,
        epsilon=int(rng.integers(0, 1 << rng.integers(1, 30))),
        exponent=min(62, ROOT_EXPONENT + shift),
        mean_mult=int(rng.integers(1 << 15, 1 << 16)),
        mean_shift=int(rng.integers(15, 26)),
    )
    table = reciprocal_root_table()

    def build(x, *other, **attributes):
        return layer_norm(x, constant(table), constant(epilogue.params), *other, how=how, **attributes)

    check_rows(hw, x, other, epilogue, lambda rows: normalize_rows(rows, table, how), build)


@pytest.mark.parametrize("seed", seeds(40))
def test_probabilities_agree_everywhere(seed):
    rng = np.random.default_rng(seed)
    hw, x, other, epilogue = draw(rng)
    if other is not None:
        other = np.where(rng.random(other.shape) < 0.5, -(1 << 30), 0).astype(np.int32)
        x >>= 2
    check_probabilities(hw, x, other, epilogue, int(rng.integers(13)))


@pytest.mark.parametrize("seed", seeds(12))
def test_rows_whose_parameters_come_piece_by_piece_are_the_same(seed):
    rng = np.random.default_rng(seed)
    hw, fitting = hardware_for_pieces(rng)
    pixels, channels = int(rng.integers(2, 5)), fitting + int(rng.integers(1, 60))
    x = draw_rows(rng, 1, 1, pixels, channels)
    wide = {"wide": 0} if seed % 3 else {}
    epilogue = Epilogue.draw(rng, hw, channels, PEAK, act_signed=1, vector_size=hw.vector_size, **wide)
    program = check_probabilities(hw, x, None, epilogue, int(rng.integers(13)))
    blocks = [each.fields["blocks"] for each in decode_all(program.instructions, hw) if each.name == "PPU"]
    assert max(blocks) * hw.output_lanes < channels


def test_a_row_that_is_masked_as_a_whole_has_equal_probabilities():
    rng = np.random.default_rng(0)
    hw = accelerator()
    x = rng.integers(-(1 << 14), 1 << 14, (1, 2, 3, 9)).astype(np.int32)
    closed = np.zeros_like(x)
    closed[0, 1] = -(1 << 30)
    tables = exponential_table(), reciprocal_table()
    expected = probability_rows(x + closed, *tables, 2, RECIPROCAL_EXPONENT, masked=True)
    assert len(np.unique(expected[0, 1])) == 1
    assert len(np.unique(expected[0, 0])) > 1
    epilogue = Epilogue.draw(rng, hw, 9, PEAK, act_signed=1, vector_size=hw.vector_size, wide=1)
    check_probabilities(hw, x, closed, epilogue, 2)


def test_a_sum_with_another_tensor_saturates():
    rng = np.random.default_rng(0)
    hw = accelerator({"accumulator_bits": 46})
    x, other = (rng.integers(1 << 30, 1 << 31, (1, 2, 3, 9)) for _ in range(2))
    sign = rng.choice([-1, 1], x.shape)
    x, other = (np.asarray(each * sign, np.int32) for each in (x, other))
    how = Normalization(centered=False, square_shift=14, epsilon=1, exponent=ROOT_EXPONENT + 14)
    table = reciprocal_root_table()
    epilogue = Epilogue.draw(rng, hw, 9, PEAK, act_signed=1, vector_size=hw.vector_size, wide=1)
    epilogue.params[:] = [1, 0, 0, INT32_MAX]

    def build(x, *other, **attributes):
        return layer_norm(x, constant(table), constant(epilogue.params), *other, how=how, **attributes)

    check_rows(hw, x, other, epilogue, lambda rows: normalize_rows(rows, table, how), build)


@pytest.mark.parametrize("seed", seeds(40))
def test_rows_of_a_layer_that_stay_on_the_chip_are_the_same(seed):
    rng = np.random.default_rng(seed)
    hw = random_hardware(rng)
    n, w, channels, outputs = rng.integers(1, (3, 12, 2 * hw.vector_size, 40)).tolist()
    formats = hw.formats
    largest = formats.activation.qmax * formats.activation.smax * formats.weight.qmax * formats.weight.smax
    first = Epilogue.draw(rng, hw, outputs, largest, wide=1)
    first.attributes["channels"] = channels
    last = Epilogue.draw(rng, hw, outputs, PEAK, act_signed=1, vector_size=hw.vector_size)
    x = random_vectors(rng, hw, bool(first.attributes["act_signed"]), n, w, channels=channels)
    weights = tensor_of(rng, formats.weight, outputs, channels=channels)
    inputs = [x]
    if rng.integers(2):
        inputs.append(draw_rows(rng, *[1 if rng.integers(2) else each for each in (n, w)], outputs))
    numbers = {"argument_shift": int(rng.integers(8)), "exponent": RECIPROCAL_EXPONENT}
    tables = np.stack([exponential_table(), reciprocal_table()])

    def build(emit, x, *other):
        made = emit(dense(x, constant(weights), constant(first.params), **first.attributes))
        return softmax(made, constant(tables), constant(last.params), *other, **numbers, **last.attributes)

    rows = first.apply(hw, accumulate(x, weights, hw.product_shift, hw.product_bits), None).astype(np.int64)
    if len(inputs) > 1:
        rows = saturated(rows + inputs[1])
    acc = probability_rows(rows, *tables, *numbers.values(), masked=len(inputs) > 1)
    module = chain_of(build, *inputs)
    check(module, inputs, hw, last.apply(hw, acc, None))
