"""A tensor is stored unsigned only if the structure of the network proves that it has no negative element."""

from __future__ import annotations

import numpy as np
import pytest
from tvm import relax
from tvm.relax import op

from tvm_vsq.graph import constant
from tvm_vsq.quantize.activations.signs import Signs

SHAPE = (1, 4, 4, 8)

CASES = {
    "input": (lambda x: x, False),
    "relu": (lambda x: op.nn.relu(x), True),
    "relu6": (lambda x: op.clip(x, 0, 6), True),
    "relu bounded from above": (lambda x: op.clip(op.nn.relu(x), float("-inf"), 2), True),
    "relu bounded below 0": (lambda x: op.clip(op.nn.relu(x), float("-inf"), -2), False),
    "maximum with 0": (lambda x: op.maximum(x, constant(np.float32(0))), True),
    "minimum of relu and 6": (lambda x: op.minimum(op.nn.relu(x), constant(np.float32(6))), True),
    "hard sigmoid": (lambda x: op.divide(op.clip(x, 0, 6), constant(np.float32(6))), True),
    "relu padded with 0": (lambda x: op.nn.pad(op.nn.relu(x), [0, 1] * 4), True),
    "relu padded with -1": (
        lambda x: op.nn.pad(op.nn.relu(x), [0, 0, 1, 1, 1, 1, 0, 0], pad_value=-1),
        False,
    ),
    "half of relus": (lambda x: op.take(op.nn.relu(x), constant(np.arange(4)), 3), True),
    "hardtanh": (lambda x: op.clip(x, -1, 1), False),
    "max pool of relu": (lambda x: op.nn.max_pool2d(op.nn.relu(x), 2, 2, layout="NHWC"), True),
    "max pool of input": (lambda x: op.nn.max_pool2d(x, 2, 2, layout="NHWC"), False),
    "average pool of relu": (lambda x: op.nn.avg_pool2d(op.nn.relu(x), 2, 2, layout="NHWC"), True),
    "mean, reshaped and transposed": (
        lambda x: op.permute_dims(op.reshape(op.mean(op.nn.relu(x), [1, 2]), (1, 8)), [1, 0]),
        True,
    ),
    "sum of relus": (lambda x: op.add(op.nn.relu(x), op.nn.relu(x)), True),
    "relu minus relu": (lambda x: op.subtract(op.nn.relu(x), op.nn.relu(x)), False),
    "relu plus input": (lambda x: op.add(op.nn.relu(x), x), False),
    "relu plus a positive constant": (
        lambda x: op.add(op.nn.relu(x), constant(np.ones(8, np.float32))),
        True,
    ),
    "relu plus a negative constant": (
        lambda x: op.add(op.nn.relu(x), constant(-np.ones(8, np.float32))),
        False,
    ),
    "concatenation of relus": (lambda x: op.concat([op.nn.relu(x), op.nn.relu(x)], 3), True),
    "concatenation with the input": (lambda x: op.concat([op.nn.relu(x), x], 3), False),
    "maximum with a relu": (lambda x: op.maximum(x, op.nn.relu(x)), True),
    "softmax": (lambda x: op.nn.softmax(x), True),
    "gelu": (lambda x: op.nn.gelu(x), False),
    "gelu of relu": (lambda x: op.nn.gelu(op.nn.relu(x)), True),
}


@pytest.mark.parametrize("name", CASES)
def test_the_sign_is_proven_from_structure(name):
    make, expected = CASES[name]
    x = relax.Var("x", relax.TensorType(SHAPE, "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            result = builder.emit_output(builder.normalize(make(x)))
        builder.emit_func_output(result)
    function = builder.get()["main"]
    assert Signs(function).is_nonnegative(function.body.body) is expected
