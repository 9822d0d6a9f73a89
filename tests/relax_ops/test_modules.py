"""Modules with vsq.* operators print, save, load, legalize whole and take a symbolic batch."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import tvm
from tests.networks import QUICK
from tvm import relax
from tvm.ir import IRModule, Op

from tvm_vsq import relax_ops as vsq
from tvm_vsq.formats import VectorFormat
from tvm_vsq.numerics import (
    accumulate,
    dequantize,
    inverse_step,
    post_process,
    quantize_activations,
    quantize_weights,
    requantize,
)
from tvm_vsq.ops.conv2d.reference import conv2d_accumulate
from tvm_vsq.ops.conv2d.relax import conv2d
from tvm_vsq.ops.dense.relax import dense

FMT = VectorFormat(4, 4, 16)
UNSIGNED = VectorFormat(4, 4, 16, signed=False)
GUARD = 2
GAMMA = np.float32(0.011)
RNG = np.random.default_rng(0)
W1, _ = quantize_weights(RNG.normal(size=(20, 3, 3, 7)), FMT)
W2, _ = quantize_weights(RNG.normal(size=(5, 20)), FMT)
P1 = np.tile(np.array([40000, 20, 11, 2**31 - 1], np.int32), (20, 1))
P2 = np.tile(np.array([30000, 12, -7, 2**31 - 1], np.int32), (5, 1))
OUT1 = {"out_bits": 4, "out_scale_bits": 4, "out_signed": 0, "guard_bits": GUARD, "relu": 1}


def network(batch: object = 2) -> IRModule:
    """quantize, a convolution whose output is the residual of a second one, dense: all in one function."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType([batch, 6, 6, 7], "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            inv = float(inverse_step(GAMMA, GUARD))
            q = builder.emit(
                vsq.quantize(x, bits=4, scale_bits=4, vector_size=16, signed=1, guard_bits=GUARD, inv=inv)
            )
            same = {"padding": (1, 1, 1, 1), **OUT1}
            first = builder.emit(conv2d(q, relax.const(W1), relax.const(P1), layer='block.0."conv"', **same))
            second = builder.emit(
                conv2d(
                    q, relax.const(W1), relax.const(P1), first, layer="conv2", res_mult=3, res_shift=2, **same
                )
            )
            y = builder.emit(
                dense(second, relax.const(W2), relax.const(P2), layer="fc", wide=1, act_signed=0)
            )
            scaled = builder.emit(relax.op.astype(y, "float32"))
            back = builder.emit(vsq.dequantize(second, relax.const(GAMMA), channels=20))
            out = builder.emit_output(relax.Tuple([scaled, back]))
        builder.emit_func_output(out)
    return builder.get()


def reference(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    q = quantize_activations(x, FMT, GAMMA, GUARD)
    acc = conv2d_accumulate(q, W1, (1, 1), (1, 1, 1, 1), (1, 1), 0, 0)
    first = requantize(post_process(acc, P1, relu=True), UNSIGNED, GUARD)
    second = requantize(post_process(acc, P1, True, first, 3, 2), UNSIGNED, GUARD)
    y = post_process(accumulate(second, W2, 0, 0), P2)
    return y.astype(np.float32), dequantize(second, GAMMA, 20)


def outputs(module: IRModule, x: np.ndarray) -> list[np.ndarray]:
    machine = relax.VirtualMachine(relax.build(module, QUICK), tvm.cpu())
    return [out.numpy() for out in machine["main"](tvm.runtime.tensor(x))]


@pytest.mark.parametrize("batch", [2, "symbolic"])
def test_a_network_of_vsq_operators_equals_the_reference(batch):
    module = network(tvm.tirx.Var("n", "int64") if batch == "symbolic" else batch)
    x = np.random.default_rng(1).normal(size=(2, 6, 6, 7)).astype(np.float32)
    for result, expected in zip(outputs(module, x), reference(x), strict=True):
        assert np.array_equal(result, expected)
        assert np.unique(expected).size > 5


def test_the_printed_script_parses_back_to_the_same_module():
    module = network()
    tvm.ir.assert_structural_equal(tvm.script.from_source(module.script(show_meta=True)), module)


def test_a_module_saved_as_json_loads_as_the_same_module():
    module = network()
    tvm.ir.assert_structural_equal(tvm.ir.load_json(tvm.ir.save_json(module)), module)


def test_legalization_leaves_no_vsq_operator_behind():
    assert "vsq." in network().script()
    legal = relax.transform.LegalizeOps()(network())
    assert 'T.Call("vsq.' not in legal.script(show_meta=False)


def test_the_operators_are_pure_so_unused_ones_disappear():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType([2, 16], "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            builder.emit(
                vsq.quantize(x, bits=4, scale_bits=4, vector_size=16, signed=1, guard_bits=0, inv=1.0)
            )
            out = builder.emit_output(x)
        builder.emit_func_output(out)
    assert "vsq.quantize" not in relax.transform.DeadCodeElimination()(builder.get()).script()


def test_importing_twice_keeps_the_registered_operators():
    from tvm_vsq.relax_ops import register

    before = Op.get("vsq.dense")
    again = importlib.reload(register).register_op("vsq.dense", "", lambda *_: None, lambda *_: None)
    assert again.same_as(before)
    assert outputs(network(), np.zeros((2, 6, 6, 7), np.float32))[0].shape == (2, 6, 6, 5)
