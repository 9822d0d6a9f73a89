"""Values that follow from constants alone are computed as TVM computes them."""

from __future__ import annotations

import numpy as np
import pytest
from tvm import relax

from tvm_vsq.frontend.fold_constants import fold_constants
from tvm_vsq.graph import bindings, constant_array, is_constant
from tvm_vsq.tvm_compat import IRModule

NUMBERS = np.random.default_rng(0).normal(scale=100, size=(2, 1, 3, 5)).astype(np.float32)
OTHERS = np.random.default_rng(1).normal(size=(3, 1)).astype(np.float32)
INTEGERS = np.random.default_rng(2).integers(-(2**31), 2**31, (2, 3), np.int64)

EXPRESSIONS = {
    "reshape": lambda: relax.op.reshape(relax.const(NUMBERS), (3, -1)),
    "flatten": lambda: relax.op.flatten(relax.const(NUMBERS)),
    "squeeze": lambda: relax.op.squeeze(relax.const(NUMBERS), [1]),
    "expand_dims": lambda: relax.op.expand_dims(relax.const(NUMBERS), [0, -1]),
    "broadcast_to": lambda: relax.op.broadcast_to(relax.const(NUMBERS), (4, 2, 7, 3, 5)),
    "permute_dims": lambda: relax.op.permute_dims(relax.const(NUMBERS), [2, 0, -1, 1]),
    "reversed": lambda: relax.op.permute_dims(relax.const(NUMBERS)),
    "to integers": lambda: relax.op.astype(relax.const(NUMBERS), "int64"),
    "to floats": lambda: relax.op.astype(relax.const(INTEGERS), "float32"),
    "clip": lambda: relax.op.clip(relax.const(NUMBERS), -3, 20.5),
    "clipped integers": lambda: relax.op.clip(relax.const(INTEGERS), -7, 2**30),
    "clipped on one side": lambda: relax.op.clip(relax.const(NUMBERS), float("-inf"), 3),
    "floor": lambda: relax.op.floor(relax.const(NUMBERS)),
    "abs": lambda: relax.op.abs(relax.const(NUMBERS)),
    "negative": lambda: relax.op.negative(relax.const(INTEGERS)),
    "add": lambda: relax.op.add(relax.const(NUMBERS), relax.const(OTHERS)),
    "subtract": lambda: relax.op.subtract(relax.const(OTHERS), relax.const(NUMBERS)),
    "multiply": lambda: relax.op.multiply(relax.const(INTEGERS), relax.const(INTEGERS)),
    "left to TVM": lambda: relax.op.strided_slice(relax.const(NUMBERS), [3], [0], [5], [2]),
}


def module_of(build) -> IRModule:
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1,), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            first = builder.emit(build())
            second = builder.emit(relax.op.permute_dims(first))
            results = builder.emit_output(relax.Tuple([x, second]))
        builder.emit_func_output(results)
    return builder.get()


def folded(module: IRModule) -> np.ndarray:
    result = list(bindings(module["main"]))[-1].value.fields[1]
    assert is_constant(result), module
    return constant_array(result)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_as_by_tvm(name, monkeypatch):
    module = module_of(EXPRESSIONS[name])
    expected = folded(relax.transform.FoldConstant()(module))
    if name != "left to TVM":
        monkeypatch.delattr(relax.transform, "FoldConstant")
    found = folded(fold_constants(module))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_integers_with_an_open_end():
    """Infinity, which no integer is."""
    found = folded(fold_constants(module_of(lambda: relax.op.clip(relax.const(INTEGERS), 5, float("inf")))))
    np.testing.assert_array_equal(found, np.maximum(INTEGERS, 5).T)


@pytest.mark.parametrize("part", range(3))
def test_parts_of_a_split(part):
    """Of which TVM's own pass folds only the split."""
    split = relax.op.split(relax.const(NUMBERS), [1, 4], -1)
    found = folded(fold_constants(module_of(lambda: relax.TupleGetItem(split, part))))
    np.testing.assert_array_equal(found, np.split(NUMBERS, [1, 4], -1)[part].T)
