"""Functions that the vector unit looks up behind any layer: whatever computes them gives the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from tests.accelerators import accelerator, random_formats
from tests.ops.layers import Epilogue, check, module_of, random_vectors
from tests.seeds import seeds

from tvm_vsq import numerics
from tvm_vsq.formats.table import TABLE_SEGMENTS
from tvm_vsq.graph import constant
from tvm_vsq.ops.avg_pool2d.reference import avg_pool2d_accumulate
from tvm_vsq.ops.avg_pool2d.relax import avg_pool2d

ENTRIES = {"inp": 64, "out": 40, "wgt": 8, "acc": 40, "par": 100, "uop": 64}


def draw(seed):
    """A random accelerator, table and epilogue, whose arguments are within the table's, or beyond."""
    rng = np.random.default_rng(seed)
    hw = accelerator({"name": "small", "dram": {"capacity_mib": 4}}, random_formats(rng, ENTRIES))
    most = 1 << int(rng.integers(2, min(24, hw.accumulator_bits - 1)))
    table = rng.integers(-most // 2, most // 2, (TABLE_SEGMENTS, 2)).astype(np.int32)
    return rng, hw, table, most


def looked_up(hw, acc, table, most, epilogue, rng):
    """What NumPy makes of accumulators, and the attributes that say so."""
    reach = hw.formats.activation.qmax * hw.formats.activation.smax << hw.guard_bits
    shift = int(rng.integers(16))
    factor = (min(2**16 - 1, (reach << shift) // most + 1), shift)
    attributes = {
        **epilogue.attributes,
        "tab_mult": factor[0],
        "tab_shift": factor[1],
        "function": "anything",
    }
    y = numerics.post_process(acc, epilogue.params, bool(attributes["relu"]))
    result = numerics.scale_values(numerics.look_up(y, table), *factor)
    if not attributes["wide"]:
        out = hw.formats.activation.with_sign(bool(attributes["out_signed"]))
        result = numerics.requantize(result, out, hw.guard_bits)
    return result, attributes


def spread(epilogue, acc, rng):
    """The epilogue with shifts such that results have about 16 bits."""
    largest = max(1, int(np.abs(acc).max()))
    bits = [(largest * int(mult)).bit_length() - int(rng.integers(13, 18)) for mult in epilogue.params[:, 0]]
    epilogue.params[:, 1] = np.clip(bits, 0, 62)
    return epilogue


@pytest.mark.parametrize("seed", seeds(30))
def test_behind_a_pool(seed):
    rng, hw, table, most = draw(seed)
    channels = int(rng.integers(1, 3 * hw.vector_size))
    signed = bool(rng.integers(2))
    x = random_vectors(rng, hw, signed, 2, 4, 5, channels=channels)
    geometry = {
        "pool_size": [2, 2],
        "strides": [1, 2],
        "padding": [0] * 4,
        "dilation": [1, 1],
        "counted": [0] * 4,
    }
    acc = avg_pool2d_accumulate(x, *geometry.values())[0][..., :channels]
    epilogue = spread(Epilogue.draw(rng, hw, channels, act_signed=int(signed)), acc, rng)
    expected, attributes = looked_up(hw, acc, table, most, epilogue, rng)
    attributes |= {**geometry, "channels": channels}
    module = module_of(lambda x, p: avg_pool2d(x, p, constant(table), **attributes), [x], epilogue.params)
    check(module, [x], hw, expected)
