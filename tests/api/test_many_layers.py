"""Models with many layers, many regions and long names."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from tvm import relax

import tvm_vsq


def _samples():
    return [np.random.default_rng(1).normal(size=(2, 8)).astype(np.float32)]


def _weight(rng):
    orthogonal, _ = np.linalg.qr(rng.normal(size=(8, 8)))  # keeps the size of what passes through
    return orthogonal.astype(np.float32)


def _compile(model):
    quant = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()
    return tvm_vsq.compile(model, quant=quant, calibration=_samples())


def _chain(count, between=lambda y: y):
    """A module of `count` layers of 8 channels, one after the other."""
    rng, builder = np.random.default_rng(0), relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType([2, 8], "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = x
            for _ in range(count):
                y = builder.emit(between(relax.op.matmul(y, relax.const(_weight(rng)))))
            output = builder.emit_output(y)
        builder.emit_func_output(output)
    return builder.get()


@pytest.mark.large
def test_two_hundred_layers_in_a_row_are_one_program():
    exe = _compile(_chain(200))
    assert len(exe.timing().layers) == 200
    assert exe.disassemble().startswith("# program region0: ")
    (x,) = _samples()
    assert np.array_equal(exe(x), exe.reference(x))


def test_more_regions_than_ten_are_listed_in_the_order_of_execution():
    exe = _compile(_chain(12, between=relax.op.sin))
    assert [layer.name for layer in exe.timing().layers] == [f"dense_{n}" for n in range(12)]
    lines = exe.disassemble().splitlines()
    programs = [line.split(":")[0] for line in lines if line.startswith("# program")]
    assert programs == [f"# program region{n}" for n in range(12)]


@pytest.mark.parametrize("letter", ["w", "é", "\N{CLAPPER BOARD}"])
def test_a_layer_name_of_any_length_keeps_its_ends(letter):
    rng, name = np.random.default_rng(0), f"first{letter * 3000}last"
    weights = [numpy_helper.from_array(_weight(rng), name), numpy_helper.from_array(_weight(rng), name + "2")]
    nodes = [
        helper.make_node("MatMul", ["x", name], ["h"]),
        helper.make_node("MatMul", ["h", name], ["g"]),
        helper.make_node("MatMul", ["g", name + "2"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, [2, 8]) for end in "xy"]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], weights)
    exe = _compile(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    names = [layer.name for layer in exe.timing().layers]
    assert len(set(names)) == 3
    for found, end in zip(names, ["last", "last#2", "last2"], strict=True):
        assert found.startswith(f"first{letter}")
        assert found.endswith(letter + end)
        assert len(found) < 150
