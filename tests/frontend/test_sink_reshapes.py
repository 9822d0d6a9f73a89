"""Reshapes of leading axes move past linear layers where, and only where, the result stays the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tvm import relax

from tvm_vsq.frontend.sink_reshapes import sink_reshapes
from tvm_vsq.graph import constant

op, nn = relax.op, relax.op.nn
RNG = np.random.default_rng(0)
A = (2, 3, 4)


def values(*shape: int) -> Any:
    return constant(RNG.standard_normal(shape).astype(np.float32))


def flat(emit: Any, x: Any) -> Any:
    return emit(op.reshape(x, (6, 4)))


MOVES: dict[str, tuple[Any, list[tuple[int, ...]], list[str]]] = {
    "a matrix product": (lambda emit, x: op.matmul(flat(emit, x), values(4, 5)), [A], ["matmul"]),
    "an activation": (lambda emit, x: op.clip(flat(emit, x), -1, 1), [A], ["clip"]),
    "a bias": (lambda emit, x: op.add(values(4), flat(emit, x)), [A], ["add"]),
    "a scalar": (lambda emit, x: op.subtract(relax.const(2.0), flat(emit, x)), [A], ["subtract"]),
    "a residual": (lambda emit, x, y: op.subtract(flat(emit, x), flat(emit, y)), [A, A], ["subtract"]),
    "a residual of other axes beside a layer": (
        lambda emit, x, y: op.add(emit(op.reshape(y, (6, 4))), flat(emit, emit(op.matmul(x, values(4, 4))))),
        [A, (3, 2, 4)],
        ["matmul", "reshape", "add"],
    ),
    "a norm of rows": (
        lambda emit, x: nn.layer_norm(flat(emit, x), values(4), values(4), [-1]),
        [A],
        ["nn.layer_norm"],
    ),
    "softmax of rows": (lambda emit, x: nn.softmax(flat(emit, x), -1), [A], ["nn.softmax"]),
    "a reshape": (lambda emit, x: op.reshape(flat(emit, x), (3, 2, 4)), [A], []),
}
STAYS: dict[str, tuple[Any, list[tuple[int, ...]]]] = {
    "a reshape of the last axis": (
        lambda emit, x: op.matmul(emit(op.reshape(x, (8, 3))), values(3, 5)),
        [A],
    ),
    "a reshape to a vector": (lambda emit, x: nn.relu(emit(op.reshape(x, (4,)))), [(1, 4)]),
    "a reshape of a vector": (lambda emit, x: nn.relu(emit(op.reshape(x, (1, 4)))), [(4,)]),
    "a constant with rows of its own": (lambda emit, x: op.add(flat(emit, x), values(6, 4)), [A]),
    "a column of constants": (lambda emit, x: op.multiply(flat(emit, x), values(6, 1)), [A]),
    "a tensor": (lambda emit, x, y: op.add(flat(emit, x), y), [A, (6, 4)]),
    "a residual of other axes": (
        lambda emit, x, y: op.add(flat(emit, x), emit(op.reshape(y, (6, 4)))),
        [A, (3, 2, 4)],
    ),
    "a residual that repeats": (
        lambda emit, x, y: op.add(emit(op.reshape(x, (6, 1, 4))), emit(op.reshape(y, (1, 6, 4)))),
        [A, A],
    ),
    "a product of activations": (lambda emit, x, y: op.matmul(flat(emit, x), y), [A, (4, 5)]),
    "weights for each sample": (
        lambda emit, x: op.matmul(emit(op.reshape(x, (2, 3, 4))), values(2, 4, 5)),
        [(6, 4)],
    ),
    "softmax": (lambda emit, x: nn.softmax(flat(emit, x), 0), [A]),
    "a norm of all rows": (
        lambda emit, x: nn.layer_norm(flat(emit, x), values(6, 4), values(6, 4), [-2, -1]),
        [A],
    ),
}


def check(networks: Any, functions: Any, body: Any, shapes: list[tuple[int, ...]]) -> list[str]:
    """The operators after the pass."""
    return functions.after(sink_reshapes, functions.function(body, *shapes), networks.run_tvm)


@pytest.mark.parametrize("case", MOVES)
def test_a_reshape_moves_behind(networks, relax_functions, case):
    body, shapes, operators = MOVES[case]
    assert check(networks, relax_functions, body, shapes) == [*operators, "reshape"]


@pytest.mark.parametrize("case", STAYS)
def test_a_reshape_stays_in_front_of(networks, relax_functions, case):
    body, shapes = STAYS[case]
    module = relax_functions.function(body, *shapes)
    assert check(networks, relax_functions, body, shapes) == relax_functions.operators(module)


def test_reshapes_that_cancel_vanish(networks, relax_functions):
    def body(emit, x):
        return emit(op.reshape(emit(nn.relu(flat(emit, x))), A))

    assert check(networks, relax_functions, body, [A]) == ["nn.relu"]
