"""Operands of the other blocks: random ones, and such as Laplace operands of the array lead to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from operands import HELD, REDUCED, operands

from tvm_vsq.formats.table import TABLE_INPUT_BITS, TABLE_SEGMENTS
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.isa import code_of
from tvm_vsq.numerics import quantize_activations
from tvm_vsq.numerics.fixed_point import fixed_point
from tvm_vsq.rtl import Block, blocks, expected, stimuli
from tvm_vsq.rtl.blocks import most_digits

Ints = npt.NDArray[np.int64]
Inputs = dict[str, Ints]
FILLED = TABLE_SEGMENTS  # cycles in which vector_lane's table is filled, before all others
_MASK = (1 << 24) - 1


def random(hardware: HardwareConfig, count: int, block: Block) -> Inputs:
    """The random part of what it is tested with; the corners, which come first, go."""
    return {name: numbers[-count:] for name, numbers in stimuli(hardware, block, count, 0).items()}


def ppu_lane(hardware: HardwareConfig, count: int) -> Inputs:
    """Sums of the array, rectified, without residuals; a channel's parameters stay for HELD of them."""
    sums = _sums(hardware, count)
    mult, shift = (int(number) for number in fixed_point(_ratio(hardware, sums), hardware.multiplier_bits))
    rng = np.random.default_rng(1)
    channels = -(-count // HELD)
    factor = rng.integers(mult // 2, mult + 1, channels)  # channels have their own gammas
    bias = rng.normal(0, _limit(hardware) / 16, channels).astype(np.int64)
    columns = [factor, np.full(channels, shift), bias, np.full(channels, (1 << 31) - 1)]
    zeros = np.zeros((count, 1), np.int64)
    return {
        "acc": sums[:, None],
        "par": np.repeat(np.stack(columns, axis=1), HELD, axis=0)[:count],
        "relu": zeros + 1,
        **dict.fromkeys(
            (
                "residual",
                "res_unsigned",
                "res_scale",
                "res_mult",
                "res_shift",
                "res_digits",
            ),
            zeros,
        ),
        "res_element": _one_digit(hardware, zeros),
    }


def quantizer(hardware: HardwareConfig, count: int) -> Inputs:
    """Rectified results of all lanes, of which the largest just fits."""
    values = np.maximum(np.random.default_rng(2).laplace(size=(count, hardware.output_lanes)), 0)
    zeros, ones = np.zeros((count, 1), np.int64), np.ones((count, 1), np.int64)
    y = np.rint(values * (_limit(hardware) / values.max())).astype(np.int64)
    form = dict.fromkeys(("second", "out_bits", "out_scale_bits", "digits"), zeros)
    return {"y": y, "is_unsigned": ones, **form, "first": ones, "last": ones}


def vector_mul(hardware: HardwareConfig, count: int) -> Inputs:
    """Sums, brought to the width of results, times elements; rounded to as many bits again."""
    inputs = _vector_lane(hardware, count, "mul")
    fmt = hardware.formats.activation
    inputs["shift"][:] = fmt.bits + fmt.scale_width
    return inputs


def vector_table(hardware: HardwareConfig, count: int) -> Inputs:
    """Values of 16 bits through a sigmoid."""
    inputs = _vector_lane(hardware, count, "table")
    acc = np.random.default_rng(3).laplace(0, 1 << (TABLE_INPUT_BITS - 4), (count, 1))
    inputs["acc_in"][FILLED:] = np.clip(acc.astype(np.int64), -(1 << 15), (1 << 15) - 1)
    return inputs


def _vector_lane(hardware: HardwareConfig, count: int, op: str) -> Inputs:
    fmt = hardware.formats.activation.with_sign(False)
    total = FILLED + count
    values = np.maximum(np.random.default_rng(4).laplace(size=(total, fmt.vector_size)), 0).astype(np.float32)
    gamma = values.max() / (fmt.qmax * fmt.smax)
    vectors = quantize_activations(values, fmt, gamma, hardware.guard_bits)[:, 0].astype(np.int64)
    y = np.random.default_rng(5).laplace(0, _limit(hardware) / 10, (total, 1))
    ends = 8 / (1 + np.exp(-np.linspace(-8, 8, FILLED + 1)))
    table_values = np.rint(ends * 4096).astype(np.int64)
    segments = (np.diff(table_values) & _MASK) << 24 | table_values[:-1] & _MASK
    filling = (np.arange(total) < FILLED).astype(np.int64)[:, None]
    zeros = np.zeros((total, 1), np.int64)
    return {
        "op": zeros + code_of("VEC", "op", op),
        "src_imm": zeros,
        "src_acc": zeros,
        "src_unsigned": zeros + 1,
        "acc_in": np.rint(y).astype(np.int64),
        "acc_late": np.rint(y).astype(np.int64),  # mul and table do not take it
        "forward": zeros,
        "second": zeros,
        "element": _one_digit(hardware, vectors[:, :1]),  # of a channel: the lane's
        "digits": zeros,
        "scale": vectors[:, -1:],
        "imm": zeros,
        "shift": zeros.copy(),
        "fill": filling,
        "fill_address": np.arange(total)[:, None] * filling,
        "fill_segment": np.resize(segments, total)[:, None] * filling,
    }


def _one_digit(hardware: HardwareConfig, elements: Ints) -> Ints:
    """[n, digits]: elements of a digit, and nothing where others would be."""
    return np.pad(elements, ((0, 0), (0, most_digits(hardware, hardware.activation_bits) - 1)))


def _limit(hardware: HardwareConfig) -> int:
    """The largest result that is not clipped."""
    fmt = hardware.formats.activation.with_sign(False)
    return fmt.qmax * fmt.smax << hardware.guard_bits


def _sums(hardware: HardwareConfig, count: int) -> Ints:
    """As whole reductions of the array have them: normal, of their width."""
    inputs = operands(hardware, "laplace", 64 * REDUCED // hardware.vector_size)
    block = blocks(hardware)["vector_mac"].name
    vectors = REDUCED // hardware.vector_size
    ends = expected(hardware, block, inputs)["acc"][0].reshape(-1, vectors)[:, -1]
    return np.rint(np.random.default_rng(6).normal(0, ends.std(), count)).astype(np.int64)


def _ratio(hardware: HardwareConfig, sums: Ints) -> float:
    return _limit(hardware) / float(np.abs(sums).max())


def kinds(block: Block) -> dict[str, Callable[[HardwareConfig, int], Inputs]]:
    """Of the operands of `block`. Random operations of vector_lane say nothing."""
    if block.name == "vector_lane":
        return {"mul": vector_mul, "table": vector_table}
    typical = {"ppu_lane": {"laplace": ppu_lane}, "quantizer": {"laplace": quantizer}}
    return {"random": partial(random, block=block), **typical.get(block.name, {})}
