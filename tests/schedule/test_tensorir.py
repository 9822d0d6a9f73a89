"""The TensorIR of a layer: its arithmetic runs on the CPU, and scheduling changes nothing but the order."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import te

from tvm_vsq.hardware import load_hardware
from tvm_vsq.ops.conv2d.reference import conv2d_accumulate
from tvm_vsq.schedule import Convolution, Knobs, schedule_layer
from tvm_vsq.schedule.compute import loaded


@pytest.mark.parametrize("product_bits", [None, 5])
def test_the_accumulators_are_those_of_numerics(product_bits):
    hardware = load_hardware("vsq-accel").model_copy(
        update={"vector_size": 8, "output_lanes": 8, "scale_product_bits": product_bits}
    )
    work = Convolution(2, 5, 6, 2, 3, 3, 2, (2, 1), (1, 0, 2, 1), (1, 2))
    rng = np.random.default_rng(0)
    x = rng.integers(-7, 8, (2, 5, 6, 2, 9)).astype(np.int16)
    w = rng.integers(-7, 8, (24, 3, 2, 2, 9)).astype(np.int16)
    x[..., -1], w[..., -1] = rng.integers(0, 16, x.shape[:-1]), rng.integers(0, 16, w.shape[:-1])

    image = te.placeholder(x.shape, "int16", "X")
    weights = te.placeholder((3, 1, 2, 3, 2, 8, 9), "int16", "W")
    nest = work.nest(hardware)
    acc = nest.body.compute(nest, {"inp": loaded(image, nest.operand["inp"], nest), "wgt": weights})
    function = te.create_prim_func([image, weights, acc]).with_attr("global_symbol", "main")
    built = tvm.compile(tvm.IRModule({"main": function}), target="llvm")
    out = tvm.runtime.tensor(np.zeros((2, work.oh, work.ow, 3, 1, 8), np.int64))
    blocks = np.ascontiguousarray(w.reshape(3, 1, 8, 3, 2, 2, 9).transpose(0, 1, 5, 3, 4, 2, 6))
    built["main"](tvm.runtime.tensor(x), tvm.runtime.tensor(blocks), out)

    expected = conv2d_accumulate(
        x, w, work.strides, work.padding, work.dilation, hardware.product_shift, hardware.product_bits
    )
    np.testing.assert_array_equal(out.numpy().reshape(expected.shape), expected)


def test_buffers_carry_the_scratchpad_scopes_and_intrinsics_replace_the_loops():
    work = Convolution(1, 8, 8, 2, 2, 3, 3, padding=(1, 1, 1, 1), has_residual=True)
    text = schedule_layer(work, Knobs(4, 4, 1, 1), load_hardware("vsq-accel")).script()
    for scope in ("local.inp", "local.wgt", "local.acc", "local.par", "local.out", "local.res"):
        assert f'scope="{scope}"' in text
    assert '"vsq.gemm"' in text
    assert '"vsq.reset"' in text
