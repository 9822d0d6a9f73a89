"""Layout changes move past operators where, and only where, the result stays the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tvm import relax

from tvm_vsq.frontend.sink_permutes import sink_permutes
from tvm_vsq.graph import constant

op, nn = relax.op, relax.op.nn
A, B = (2, 3, 4, 5), (2, 4, 3, 5)


def nchw(emit: Any, x: Any) -> Any:
    return emit(op.permute_dims(x, [0, 3, 1, 2]))


def other(emit: Any, x: Any) -> Any:
    return emit(op.permute_dims(x, [0, 3, 2, 1]))


def ramp(*shape: int) -> Any:
    return constant(np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape))


MOVES: dict[str, tuple[Any, list[tuple[int, ...]], list[str]]] = {
    "unary": (lambda emit, x: op.clip(nchw(emit, x), -1, 1), [A], ["clip"]),
    "concat of alike permuted": (
        lambda emit, x, y: op.concat([nchw(emit, x), nchw(emit, y)], 1),
        [A, (2, 3, 4, 7)],
        ["concat"],
    ),
    "binary of alike permuted": (
        lambda emit, x, y: op.subtract(nchw(emit, x), nchw(emit, y)),
        [A, A],
        ["subtract"],
    ),
    "binary with a constant": (lambda emit, x: op.divide(ramp(5, 1, 1), nchw(emit, x)), [A], ["divide"]),
    "binary with a scalar": (
        lambda emit, x: op.subtract(nchw(emit, x), relax.const(2.0)),
        [A],
        ["subtract"],
    ),
    "binary with what broadcasts": (
        lambda emit, x, y: op.multiply(nchw(emit, x), y),
        [A, (2, 5, 1, 4)],
        ["permute_dims", "multiply"],
    ),
    "binary with a pixel that broadcasts": (
        lambda emit, x, y: op.multiply(nchw(emit, x), y),
        [A, (2, 5, 1, 1)],
        ["reshape", "multiply"],
    ),
    "norm of rows that stay rows": (
        lambda emit, x: nn.layer_norm(emit(op.permute_dims(x, [1, 0, 2])), ramp(4), ramp(4), [-1]),
        [(2, 3, 4)],
        ["nn.layer_norm"],
    ),
    "softmax of rows that stay rows": (
        lambda emit, x: nn.softmax(emit(op.permute_dims(x, [1, 0, 2])), -1),
        [(2, 3, 4)],
        ["nn.softmax"],
    ),
    "pool": (
        lambda emit, x: nn.avg_pool2d(
            nchw(emit, x), (3, 2), (1, 2), (0, 1, 2, 1), ceil_mode=True, count_include_pad=True
        ),
        [A],
        ["nn.avg_pool2d"],
    ),
    "dilated pool": (
        lambda emit, x: nn.max_pool2d(nchw(emit, x), (2, 2), (2, 1), dilation=(1, 3)),
        [A],
        ["nn.max_pool2d"],
    ),
    "adaptive pool": (
        lambda emit, x: nn.adaptive_avg_pool2d(nchw(emit, x), (1, 2)),
        [A],
        ["nn.adaptive_avg_pool2d"],
    ),
    "reduction that keeps axes": (
        lambda emit, x: op.mean(nchw(emit, x), [1, -1], keepdims=True),
        [A],
        ["mean"],
    ),
    "slice": (
        lambda emit, x: op.strided_slice(nchw(emit, x), [-1, 1], [0, 1], [9, 3], [2, 1]),
        [A],
        ["strided_slice"],
    ),
    "slice without steps": (
        lambda emit, x: op.strided_slice(other(emit, x), [2], [1], [3]),
        [A],
        ["strided_slice"],
    ),
    "reshape that joins neighbours": (
        lambda emit, x: op.reshape(nchw(emit, x), (2, 5, 12)),
        [A],
        ["reshape"],
    ),
    "reshape that joins some of them": (
        lambda emit, x: op.reshape(emit(op.permute_dims(x, [2, 3, 0, 1])), (4, 5, 6)),
        [A],
        ["reshape"],
    ),
    "reduction": (lambda emit, x: op.max(nchw(emit, x), [2]), [A], ["max"]),
    "permute after permute": (lambda emit, x: op.permute_dims(other(emit, x), [2, 0, 1, 3]), [A], []),
}
STAYS: dict[str, tuple[Any, list[tuple[int, ...]]]] = {
    "concat of differently permuted": (
        lambda emit, x, y: op.concat([nchw(emit, x), other(emit, y)], 1),
        [A, B],
    ),
    "concat with one not permuted": (
        lambda emit, x, y: op.concat([nchw(emit, x), y], 1),
        [A, (2, 1, 3, 4)],
    ),
    "binary of differently permuted": (
        lambda emit, x, y: op.add(nchw(emit, x), other(emit, y)),
        [A, B],
    ),
    "binary with more axes": (
        lambda emit, x, y: op.add(emit(op.permute_dims(x, [1, 0])), y),
        [(4, 3), (2, 3, 4)],
    ),
    "reshape that joins and splits": (lambda emit, x: op.reshape(nchw(emit, x), (2, 5, 2, 6)), [A]),
    "reshape that joins what is apart": (lambda emit, x: op.reshape(other(emit, x), (2, 20, 3)), [A]),
    "flatten": (lambda emit, x: op.reshape(nchw(emit, x), (2, 60)), [A]),
    "softmax": (lambda emit, x: nn.softmax(nchw(emit, x), 1), [A]),
    "norm of what were columns": (
        lambda emit, x: nn.layer_norm(emit(op.permute_dims(x, [0, 2, 1])), ramp(3), ramp(3), [-1]),
        [(2, 3, 4)],
    ),
    "cumulative sum": (lambda emit, x: op.cumsum(nchw(emit, x), 1), [A]),
    "pool of other axes": (
        lambda emit, x: nn.max_pool2d(other(emit, x), (2, 2)),
        [A],
    ),
}


def check(networks: Any, functions: Any, body: Any, shapes: list[tuple[int, ...]]) -> list[str]:
    """The operators after the pass."""
    return functions.after(sink_permutes, functions.function(body, *shapes), networks.run_tvm, 1e-6)


@pytest.mark.parametrize("case", MOVES)
def test_a_permute_moves_behind(networks, relax_functions, case):
    body, shapes, operators = MOVES[case]
    assert check(networks, relax_functions, body, shapes) == [*operators, "permute_dims"]


@pytest.mark.parametrize("case", STAYS)
def test_a_permute_stays_in_front_of(networks, relax_functions, case):
    body, shapes = STAYS[case]
    module = relax_functions.function(body, *shapes)
    assert check(networks, relax_functions, body, shapes) == relax_functions.operators(module)


def test_a_reshape_takes_the_permute_away_only_if_it_moves_axes_of_extent_1(networks, relax_functions):
    def body(emit, x):
        return op.reshape(nchw(emit, x), (2, 15))

    assert check(networks, relax_functions, body, [(2, 1, 1, 15)]) == ["reshape"]
    assert check(networks, relax_functions, body, [(2, 3, 1, 5)]) == ["permute_dims", "reshape"]


def test_axes_of_extent_2_are_no_units(networks, relax_functions):
    def body(emit, x):
        return op.reshape(nchw(emit, x), (2, 4))

    assert check(networks, relax_functions, body, [(2, 2, 1, 2)]) == ["permute_dims", "reshape"]
