"""Products of two activations on the chip, and results that are stored transposed: the same bits
everywhere.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.accelerators import accelerator, random_formats
from tests.ops.layers import Epilogue, check, function_of, random_hardware, random_vectors
from tests.seeds import seeds
from tests.vectors import tensor_of

from tvm_vsq import numerics
from tvm_vsq.graph import constant
from tvm_vsq.isa import decode_all
from tvm_vsq.numerics import accumulate
from tvm_vsq.ops.dense.relax import dense
from tvm_vsq.ops.matmul.reference import matmul_accumulate
from tvm_vsq.ops.matmul.relax import matmul


def as_second(epilogue, hw):
    """The result is what another product reads in place of weights."""
    second = hw.formats.second
    epilogue.attributes.update(
        out_bits=second.bits, out_scale_bits=second.scale_width, out_signed=1, relu=0, wide=0
    )


def finished(epilogue, hw, acc, residual=None):
    """What NumPy makes of accumulators, transposed at last if that is asked for."""
    a = epilogue.attributes
    y = numerics.post_process(acc, epilogue.params, bool(a["relu"]), residual, a["res_mult"], a["res_shift"])
    if a.get("transposed"):
        y = y.swapaxes(-1, -2)
    if a["wide"]:
        return y
    if a.get("out_scales"):  # whatever does not fit a scale of 1 is cut off
        fmt = hw.formats.second
        bound = fmt.qmax << hw.guard_bits
        return numerics.requantize(np.clip(y, -bound, bound), fmt, hw.guard_bits)
    second, own = hw.formats.second, hw.formats.activation.with_sign(bool(a["out_signed"]))
    is_second = (a["out_bits"], a["out_scale_bits"]) == (second.bits, second.scale_width) and a["out_signed"]
    return numerics.requantize(y, second if is_second else own, hw.guard_bits)


def check_product(rng, hw, n, h, rows, columns, channels, shared=False):
    """[n, h, rows, channels] times [n, h, columns, channels], or [n, 1, ...], with any epilogue."""
    formats = hw.formats
    largest = formats.activation.qmax * formats.activation.smax * formats.second.qmax * formats.second.smax
    epilogue = Epilogue.draw(rng, hw, columns, largest)
    epilogue.attributes["channels"] = channels
    if rng.integers(3) == 0:
        as_second(epilogue, hw)
    a = epilogue.attributes
    x = random_vectors(rng, hw, bool(a["act_signed"]), n, h, rows, channels=channels)
    other = tensor_of(rng, formats.second, n, 1 if shared else h, columns, channels=channels)
    inputs, residual = [x, other], None
    if rng.integers(2):
        residual = random_vectors(rng, hw, bool(a["res_signed"]), n, h, rows, channels=columns)
        inputs.append(residual)
    acc = matmul_accumulate(x, other, hw.product_shift, hw.product_bits)

    def build(x, other, *residual):
        return matmul(x, other, constant(epilogue.params), *residual, **a)

    return check(function_of(build, *inputs), inputs, hw, finished(epilogue, hw, acc, residual))


@pytest.mark.parametrize("seed", seeds(40))
def test_products_of_two_activations_agree_everywhere(seed):
    rng = np.random.default_rng(seed)
    hw = random_hardware(rng)
    check_product(rng, hw, *rng.integers(1, (3, 4, 10, 40, 2 * hw.vector_size)).tolist())


@pytest.mark.parametrize("seed", seeds(16))
def test_products_of_more_columns_than_fit_at_once_agree_everywhere(seed):
    rng = np.random.default_rng(seed)
    hw = random_hardware(rng)
    group = max(hw.vector_size, hw.output_lanes)
    columns, channels = rng.integers((2 * group, 3 * hw.vector_size), (4 * group, 5 * hw.vector_size))
    check_product(rng, hw, 1, 1, int(rng.integers(1, 4)), int(columns), int(channels))


@pytest.mark.parametrize("seed", seeds(40))
def test_products_that_share_their_second_operand_agree_everywhere(seed):
    rng = np.random.default_rng(seed)
    hw = random_hardware(rng)
    check_product(rng, hw, *rng.integers(1, (3, 5, 10, 40, 2 * hw.vector_size)).tolist(), shared=True)


def test_what_heads_share_is_loaded_once():
    rng, hw = np.random.default_rng(0), accelerator()
    size, lanes = hw.vector_size, hw.output_lanes
    program = check_product(rng, hw, 1, 4, 3, lanes, size, shared=True)
    loads = [each.fields for each in decode_all(program.instructions, hw) if each.fields.get("gather")]
    assert sum(each["z_size"] * each["x_size"] * each["y_size"] for each in loads) == 1


def hardware_for_groups(rng):
    """Any formats; accumulators and results hold a vector's pixels of a group of channels."""
    entries = {"inp": 160, "out": 160, "wgt": 8, "acc": 1100, "par": 16, "uop": 64}
    return accelerator({"name": "small", "dram": {"capacity_mib": 4}}, random_formats(rng, entries))


@pytest.mark.parametrize("seed", seeds(30))
def test_results_stored_transposed_agree_everywhere(seed):
    rng = np.random.default_rng(seed)
    hw = hardware_for_groups(rng)
    n, rows, outputs, channels = rng.integers(1, (3, 70, 40, 2 * hw.vector_size)).tolist()
    formats = hw.formats
    largest = formats.activation.qmax * formats.activation.smax * formats.weight.qmax * formats.weight.smax
    epilogue = Epilogue.draw(rng, hw, outputs, largest, transposed=1, wide=0)
    epilogue.attributes["channels"] = channels
    if rng.integers(2):
        as_second(epilogue, hw)
        if rng.integers(2):
            epilogue.attributes["out_scales"] = [1] * -(-rows // hw.vector_size)
    a = epilogue.attributes
    x = random_vectors(rng, hw, bool(a["act_signed"]), n, rows, channels=channels)
    weights = tensor_of(rng, formats.weight, outputs, channels=channels)
    acc = accumulate(x, weights, hw.product_shift, hw.product_bits)

    def build(x):
        return dense(x, constant(weights), constant(epilogue.params), **a)

    program = check(function_of(build, x), [x], hw, finished(epilogue, hw, acc))
    ppus = [each.fields for each in decode_all(program.instructions, hw) if each.name == "PPU"]
    channels_of = [each["blocks"] * hw.output_lanes - each["skip_vectors"] for each in ppus]
    groups_of = [-(-each["pixels"] // hw.vector_size) for each in ppus]
    assert np.dot(channels_of, groups_of) == n * outputs * -(-rows // hw.vector_size)
