"""Averages over images have one form, where that is the same; and views are reshapes."""

from __future__ import annotations

from typing import Any

import pytest
from tvm import relax

from tvm_vsq.frontend.pools import unify_pools
from tvm_vsq.frontend.views import views_to_reshapes

op, nn = relax.op, relax.op.nn
IMAGE = (2, 6, 4, 3)
NHWC = {"layout": "NHWC"}

BECOMES: dict[str, tuple[Any, list[str]]] = {
    "a mean": (lambda emit, x: op.mean(x, [1, 2], keepdims=True), ["nn.avg_pool2d"]),
    "a mean that drops axes": (lambda emit, x: op.mean(x, [-2, 1]), ["nn.avg_pool2d", "reshape"]),
    "an adaptive pool": (lambda emit, x: nn.adaptive_avg_pool2d(x, (2, 4), **NHWC), ["nn.avg_pool2d"]),
    "an adaptive pool of pixels": (
        lambda emit, x: nn.relu(emit(nn.adaptive_avg_pool2d(x, (6, 4), **NHWC))),
        ["nn.relu"],
    ),
    "a mean over rows": (lambda emit, x: op.mean(x, [1]), ["nn.avg_pool2d", "reshape"]),
    "a mean over columns": (lambda emit, x: op.mean(x, [2], keepdims=True), ["nn.avg_pool2d"]),
    "the largest": (lambda emit, x: op.max(x, [1, 2], keepdims=True), ["nn.max_pool2d"]),
    "the largest of columns": (lambda emit, x: op.max(x, [2]), ["nn.max_pool2d", "reshape"]),
    "an adaptive pool of unlike windows": (  # of rows [0, 2), [1, 3), [3, 5), [4, 6)
        lambda emit, x: nn.adaptive_avg_pool2d(x, (4, 4), **NHWC),
        [*["strided_slice", "nn.avg_pool2d"] * 2, "concat"],
    ),
    "an adaptive pool of unlike windows along both axes": (
        lambda emit, x: nn.adaptive_avg_pool2d(x, (4, 3), **NHWC),
        [*["strided_slice", "nn.avg_pool2d"] * 2, "concat", "nn.avg_pool2d"],
    ),
    "a mean of a pixel": (
        lambda emit, x: op.mean(emit(nn.max_pool2d(x, (6, 4), **NHWC)), [1, 2]),
        ["nn.max_pool2d", "reshape"],
    ),
    "an average of pixels": (lambda emit, x: nn.relu(emit(nn.avg_pool2d(x, 1, **NHWC))), ["nn.relu"]),
    "a maximum of pixels": (lambda emit, x: nn.relu(emit(nn.max_pool2d(x, 1))), ["nn.relu"]),
}
STAYS = {
    "a mean over channels": lambda emit, x: op.mean(x, [1, 3]),
    "a maximum over everything": lambda emit, x: op.max(x),
    "a mean over everything": lambda emit, x: op.mean(x),
    "an adaptive pool in another layout": lambda emit, x: nn.adaptive_avg_pool2d(x, (3, 2)),
    "every second pixel": lambda emit, x: nn.avg_pool2d(x, 1, 2, **NHWC),
    "pixels between zeros": lambda emit, x: nn.avg_pool2d(x, 1, padding=1, count_include_pad=True, **NHWC),
}


@pytest.mark.parametrize("name", BECOMES)
def test_what_is_an_average_over_windows_becomes_one(relax_functions, networks, name):
    body, expected = BECOMES[name]
    module = relax_functions.function(body, IMAGE)
    assert relax_functions.after(unify_pools, module, networks.run_tvm) == expected


@pytest.mark.parametrize("name", STAYS)
def test_other_averages_stay_as_they_are(relax_functions, networks, name):
    module = relax_functions.function(STAYS[name], IMAGE)
    before = relax_functions.after(lambda same: same, module, networks.run_tvm)
    assert relax_functions.after(unify_pools, module, networks.run_tvm) == before


@pytest.mark.parametrize(
    "body",
    [
        lambda emit, x: op.squeeze(x, [1]),
        lambda emit, x: op.squeeze(x),
        lambda emit, x: op.flatten(x),
        lambda emit, x: op.expand_dims(x, [0, 2]),
        lambda emit, x: nn.batch_flatten(x),
    ],
)
def test_views_are_reshapes(relax_functions, networks, body):
    module = relax_functions.function(body, (2, 1, 3))
    assert relax_functions.after(views_to_reshapes, module, networks.run_tvm) == ["reshape"]
