"""Operators on sequences as operators on images of one row, which meet without a reshape between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tvm import relax

from tvm_vsq.frontend.canonical import canonicalize
from tvm_vsq.frontend.rows import rows_to_images
from tvm_vsq.frontend.sink_rows import sink_rows
from tvm_vsq.graph import constant

op, nn = relax.op, relax.op.nn
RNG = np.random.default_rng(0)
NCW, NWC = (2, 4, 11), (2, 11, 4)


def values(*shape: int) -> Any:
    return constant(RNG.standard_normal(shape).astype(np.float32))


CONV: dict[str, Any] = {"strides": 2, "padding": (1, 2), "dilation": 3}
POOL: dict[str, Any] = {"pool_size": 3, "strides": 2, "padding": (1, 0)}
BECOMES: dict[str, tuple[Any, tuple[int, ...], str]] = {
    "a convolution": (lambda x: nn.conv1d(x, values(6, 4, 3), **CONV), NCW, "conv2d"),
    "a convolution in groups": (lambda x: nn.conv1d(x, values(4, 1, 3), groups=4, **CONV), NCW, "conv2d"),
    "a convolution with its channels last": (
        lambda x: nn.conv1d(x, values(3, 4, 6), data_layout="NWC", kernel_layout="WIO", **CONV),
        NWC,
        "conv2d",
    ),
    "a maximum": (lambda x: nn.max_pool1d(x, **POOL), NCW, "max_pool2d"),
    "a maximum with dilation": (lambda x: nn.max_pool1d(x, 3, dilation=2), NCW, "max_pool2d"),
    "a maximum with its channels last": (lambda x: nn.max_pool1d(x, layout="NWC", **POOL), NWC, "max_pool2d"),
    "an average": (lambda x: nn.avg_pool1d(x, **POOL), NCW, "avg_pool2d"),
    "an average over zeros": (
        lambda x: nn.avg_pool1d(x, count_include_pad=True, **POOL),
        NCW,
        "avg_pool2d",
    ),
    "an average beyond the end": (
        lambda x: nn.avg_pool1d(x, 4, 3, ceil_mode=True),
        NCW,
        "avg_pool2d",
    ),
    "an adaptive average": (lambda x: nn.adaptive_avg_pool1d(x, 3), NCW, "adaptive_avg_pool2d"),
}


@pytest.mark.parametrize("case", BECOMES)
def test_an_operator_on_a_sequence_becomes_one_on_an_image(networks, relax_functions, case):
    body, shape, name = BECOMES[case]
    module = relax_functions.function(lambda emit, x: body(x), shape)
    found = relax_functions.after(rows_to_images, module, networks.run_tvm, 1e-4)
    assert found == ["reshape", f"nn.{name}", "reshape"]


def test_a_kernel_of_run_time_becomes_an_image_too(networks, relax_functions):
    module = relax_functions.function(lambda emit, x, w: nn.conv1d(x, w), NCW, (5, 4, 3))
    found = relax_functions.after(rows_to_images, module, networks.run_tvm, 1e-4)
    assert found == ["reshape", "reshape", "nn.conv2d", "reshape"]


def test_a_packed_layout_stays_and_is_imported(relax_functions):
    def body(emit: Any, x: Any) -> Any:
        return nn.conv1d(x, values(2, 1, 3, 4, 4), data_layout="NCW4c", kernel_layout="OIW4i4o")

    module = relax_functions.function(body, (1, 1, 11, 4))
    assert relax_functions.operators(canonicalize(module)) == ["nn.conv1d"]


def test_an_image_stays(networks, relax_functions):
    module = relax_functions.function(lambda emit, x: nn.max_pool2d(x, 2), (1, 2, 4, 6))
    assert relax_functions.after(rows_to_images, module, networks.run_tvm) == ["nn.max_pool2d"]


IMAGE = (2, 4, 1, 11)


def row(emit: Any, x: Any) -> Any:
    """[N, C, 1, W] as [N, C, W]."""
    return emit(op.reshape(x, NCW))


def last(emit: Any, x: Any) -> Any:
    """[N, 1, W, C] as [N, W, C]."""
    return emit(op.reshape(x, NWC))


def normalized(emit: Any, x: Any) -> Any:
    channels = [constant(RNG.uniform(1, 2, 4).astype(np.float32)) for _ in range(4)]
    return relax.TupleGetItem(emit(nn.batch_norm(row(emit, x), *channels, axis=1)), 0)


MOVES: dict[str, tuple[Any, list[tuple[int, ...]], list[str]]] = {
    "an activation": (lambda emit, x: op.clip(row(emit, x), -1, 1), [IMAGE], ["clip"]),
    "a bias": (lambda emit, x: op.add(row(emit, x), values(1, 4, 1)), [IMAGE], ["add"]),
    "a bias of fewer axes": (lambda emit, x: op.add(values(4, 1), row(emit, x)), [IMAGE], ["add"]),
    "a constant at each place": (lambda emit, x: op.add(row(emit, x), values(4, 11)), [IMAGE], ["add"]),
    "a scalar": (lambda emit, x: op.multiply(relax.const(2.0), row(emit, x)), [IMAGE], ["multiply"]),
    "a residual": (lambda emit, x, y: op.add(row(emit, x), row(emit, y)), [IMAGE, IMAGE], ["add"]),
    "a residual from elsewhere": (
        lambda emit, x, y: op.add(row(emit, x), y),
        [IMAGE, NCW],
        ["reshape", "add"],
    ),
    "a factor for each channel": (
        lambda emit, x, y: op.multiply(row(emit, x), y),
        [IMAGE, (2, 4, 1)],
        ["reshape", "multiply"],
    ),
    "a residual with its channels last": (
        lambda emit, x, y: op.add(last(emit, x), last(emit, y)),
        [(2, 1, 11, 4), (2, 1, 11, 4)],
        ["add"],
    ),
    "a residual whose row is elsewhere": (
        lambda emit, x, y: op.add(row(emit, x), emit(op.reshape(y, NCW))),
        [IMAGE, (2, 1, 4, 11)],
        ["reshape", "add"],
    ),
    "a batch norm": (normalized, [IMAGE], ["nn.batch_norm"]),
    "a permute": (lambda emit, x: op.permute_dims(row(emit, x), [0, 2, 1]), [IMAGE], ["permute_dims"]),
    "a permute to the front": (
        lambda emit, x: op.permute_dims(row(emit, x), [2, 0, 1]),
        [IMAGE],
        ["permute_dims"],
    ),
    "a permute of all": (lambda emit, x: op.permute_dims(row(emit, x)), [IMAGE], ["permute_dims"]),
    "zeros around": (
        lambda emit, x: nn.pad(row(emit, x), (0, 0, 0, 1, 2, 3)),
        [IMAGE],
        ["nn.pad"],
    ),
    "values around": (
        lambda emit, x: nn.pad(row(emit, x), (0, 0, 0, 0, 2, 3), "reflect"),
        [IMAGE],
        ["nn.pad"],
    ),
    "a slice": (
        lambda emit, x: op.strided_slice(row(emit, x), [1, 2], [1, 2], [4, 9], [1, 3]),
        [IMAGE],
        ["strided_slice"],
    ),
    "a concatenation": (
        lambda emit, x, y: op.concat([row(emit, x), row(emit, y)], 1),
        [IMAGE, IMAGE],
        ["concat"],
    ),
    "a concatenation with another": (
        lambda emit, x, y: op.concat([y, row(emit, x)], 2),
        [IMAGE, (2, 4, 3)],
        ["reshape", "concat"],
    ),
    "a mean that keeps its axes": (
        lambda emit, x: op.mean(row(emit, x), [-1], keepdims=True),
        [IMAGE],
        ["mean"],
    ),
    "a maximum over channels that keeps its axes": (
        lambda emit, x: op.max(row(emit, x), [1], keepdims=True),
        [IMAGE],
        ["max"],
    ),
}


@pytest.mark.parametrize("case", MOVES)
def test_a_dropped_row_moves_behind(networks, relax_functions, case):
    body, shapes, operators = MOVES[case]
    module = relax_functions.function(body, *shapes)
    assert relax_functions.after(sink_rows, module, networks.run_tvm) == [*operators, "reshape"]


GOES: dict[str, tuple[Any, list[tuple[int, ...]], list[str]]] = {
    "in front of a mean": (lambda emit, x: op.mean(row(emit, x), [2]), [IMAGE], ["mean"]),
    "in front of a sum": (lambda emit, x: op.sum(last(emit, x), [1]), [(2, 1, 11, 4)], ["sum"]),
    "between two images": (
        lambda emit, x: nn.max_pool2d(emit(op.reshape(emit(nn.relu(row(emit, x))), IMAGE)), (1, 2)),
        [IMAGE],
        ["nn.relu", "nn.max_pool2d"],
    ),
    "where one is laid out": (
        lambda emit, x: nn.relu(
            emit(
                op.reshape(
                    emit(nn.pad(emit(op.permute_dims(x, [0, 2, 1])), (0, 0, 0, 0, 3, 0))), (2, 4, 1, 14)
                )
            )
        ),
        [NWC],
        ["reshape", "permute_dims", "nn.pad", "nn.relu"],
    ),
}


@pytest.mark.parametrize("case", GOES)
def test_a_dropped_row_goes(networks, relax_functions, case):
    body, shapes, operators = GOES[case]
    module = relax_functions.function(body, *shapes)
    assert relax_functions.after(sink_rows, module, networks.run_tvm) == operators


STAYS: dict[str, tuple[Any, list[tuple[int, ...]]]] = {
    "softmax": (lambda emit, x: nn.softmax(row(emit, x), 1), [IMAGE]),
    "rows that become one": (lambda emit, x: nn.relu(emit(op.reshape(x, (2, 4, 6)))), [(2, 4, 2, 3)]),
    "an operand of more axes": (lambda emit, x, y: op.add(row(emit, x), y), [IMAGE, (3, 2, 4, 11)]),
    "what was no image": (lambda emit, x: nn.relu(emit(op.reshape(x, (4, 11)))), [(1, 4, 11)]),
    "a mean over all": (lambda emit, x: op.mean(row(emit, x)), [IMAGE]),
}


@pytest.mark.parametrize("case", STAYS)
def test_a_reshape_stays_in_front_of(networks, relax_functions, case):
    body, shapes = STAYS[case]
    module = relax_functions.function(body, *shapes)
    before = relax_functions.operators(module)
    assert relax_functions.after(sink_rows, module, networks.run_tvm) == before
