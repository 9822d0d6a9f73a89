"""Results of convolutions that are cut off are not computed, where, and only where, padding makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tvm import relax

from tvm_vsq.frontend.fold_slices import fold_slices
from tvm_vsq.graph import constant

op, nn = relax.op, relax.op.nn
RNG = np.random.default_rng(0)
IMAGE = (2, 4, 7, 12)


def values(*shape: int) -> Any:
    return constant(RNG.standard_normal(shape).astype(np.float32))


def conv(emit: Any, x: Any, **attributes: Any) -> Any:
    return emit(nn.conv2d(x, values(6, 4, 3, 2), **attributes))


def cut(x: Any, *places: tuple[int, int, int], stride: int = 1) -> Any:
    axes, begins, ends = zip(*places, strict=True)
    return op.strided_slice(x, list(axes), list(begins), list(ends), [stride] * len(axes))


CAUSAL: dict[str, Any] = {"padding": (4, 3, 4, 3), "dilation": (2, 3)}
GOES: dict[str, tuple[Any, list[str]]] = {
    "the end": (lambda emit, x: cut(conv(emit, x, **CAUSAL), (3, 0, -3)), ["nn.conv2d"]),
    "the beginning": (lambda emit, x: cut(conv(emit, x, **CAUSAL), (2, 4, 99)), ["nn.conv2d"]),
    "all sides": (lambda emit, x: cut(conv(emit, x, **CAUSAL), (-2, 1, -2), (3, 2, 14)), ["nn.conv2d"]),
    "behind a bias and a clamp": (
        lambda emit, x: cut(
            emit(nn.relu(emit(op.add(values(1, 6, 1, 1), conv(emit, x, **CAUSAL))))), (3, 0, -3)
        ),
        ["nn.conv2d", "add", "nn.relu"],
    ),
    "of strides": (
        lambda emit, x: cut(conv(emit, x, padding=(0, 4), strides=(1, 2)), (3, 1, -2)),
        ["nn.conv2d"],
    ),
    "with the channels last": (
        lambda emit, x: cut(
            conv(emit, emit(op.permute_dims(x, [0, 2, 3, 1])), data_layout="NHWC", **CAUSAL), (2, 0, -3)
        ),
        ["permute_dims", "nn.conv2d"],
    ),
}
STAYS: dict[str, Any] = {
    "more than the padding": lambda emit, x: cut(conv(emit, x, padding=(1, 1)), (3, 2, 99)),
    "more than the padding at the end": lambda emit, x: cut(conv(emit, x, padding=(1, 1)), (3, 0, -2)),
    "channels": lambda emit, x: cut(conv(emit, x, padding=(1, 1)), (1, 0, 3)),
    "every second": lambda emit, x: cut(conv(emit, x, padding=(1, 1)), (3, 0, 9), stride=2),
    "behind a constant of each place": lambda emit, x: cut(
        emit(op.add(conv(emit, x, padding=(1, 1)), values(13))), (3, 0, -1)
    ),
    "behind a pool": lambda emit, x: cut(emit(nn.max_pool2d(conv(emit, x, padding=(1, 1)), 2)), (3, 0, -1)),
    "of an input": lambda emit, x: cut(x, (3, 0, -1)),
}


@pytest.mark.parametrize("case", GOES)
def test_results_of_padding_that_are_cut_off_are_not_computed(networks, relax_functions, case):
    body, operators = GOES[case]
    module = relax_functions.function(body, IMAGE)
    assert relax_functions.after(fold_slices, module, networks.run_tvm, 1e-4) == operators


@pytest.mark.parametrize("case", STAYS)
def test_a_slice_stays(networks, relax_functions, case):
    module = relax_functions.function(STAYS[case], IMAGE)
    assert "strided_slice" in relax_functions.after(fold_slices, module, networks.run_tvm, 1e-4)


def test_a_slice_stays_where_the_rest_is_read_too(networks, relax_functions):
    def body(emit: Any, x: Any) -> Any:
        y = conv(emit, x, padding=(1, 1))
        return op.concat([emit(cut(y, (3, 0, -1))), y], 3)

    module = relax_functions.function(body, IMAGE)
    assert "strided_slice" in relax_functions.after(fold_slices, module, networks.run_tvm, 1e-4)
