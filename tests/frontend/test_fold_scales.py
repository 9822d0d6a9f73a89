"""Factors and offsets go into the layer before them, unless something else reads what it computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tvm import relax

from tvm_vsq.errors import ModelError
from tvm_vsq.frontend.fold_scales import fold_scales
from tvm_vsq.graph import constant

op, nn = relax.op, relax.op.nn
RNG = np.random.default_rng(0)


def values(*shape: int) -> Any:
    return constant(RNG.uniform(0.5, 2, shape).astype(np.float32))


def conv(x: Any) -> Any:
    return nn.conv2d(x, values(5, 4, 2, 2))


def norm(emit: Any, x: Any, axis: int = 1, field: int = 0, size: int = 5, **attributes: Any) -> Any:
    tensors = [values(size) for _ in range(4)]
    attributes = {"epsilon": 0.1, "training": False, **attributes}
    return relax.TupleGetItem(emit(nn.batch_norm(x, *tensors, axis=axis, **attributes)), field)


IMAGE = (2, 4, 3, 3)
FOLDED: dict[str, tuple[Any, tuple[int, ...], list[str]]] = {
    "a factor per channel": (
        lambda emit, x: op.multiply(emit(conv(x)), values(5, 1, 1)),
        IMAGE,
        ["nn.conv2d"],
    ),
    "a factor from the left, over a bias": (
        lambda emit, x: op.multiply(values(1, 5, 1, 1), emit(op.add(emit(conv(x)), values(5, 1, 1)))),
        IMAGE,
        ["nn.conv2d", "add"],
    ),
    "a scalar": (
        lambda emit, x: op.multiply(emit(op.matmul(x, values(4, 6))), relax.const(0.25)),
        (3, 4),
        ["matmul"],
    ),
    "a factor with the channels last": (
        lambda emit, x: op.multiply(
            emit(nn.conv2d(x, values(2, 3, 4, 5), data_layout="NHWC", kernel_layout="HWIO")), values(5)
        ),
        (2, 3, 3, 4),
        ["nn.conv2d"],
    ),
    "a batch norm without a scale": (
        lambda emit, x: norm(emit, emit(conv(x)), scale=False),
        IMAGE,
        ["nn.conv2d", "add"],
    ),
    "a batch norm without an offset": (
        lambda emit, x: norm(emit, emit(conv(x)), center=False),
        IMAGE,
        ["nn.conv2d", "add"],
    ),
    "a batch norm": (lambda emit, x: norm(emit, emit(conv(x))), IMAGE, ["nn.conv2d", "add"]),
}


def shared_bias(emit: Any, x: Any) -> Any:
    biased = emit(op.add(emit(conv(x)), values(5, 1, 1)))
    return op.subtract(emit(op.multiply(biased, values(5, 1, 1))), biased)


def shared_product(emit: Any, x: Any) -> Any:
    product = emit(op.matmul(x, values(4, 6)))
    return op.subtract(emit(op.multiply(product, values(6))), product)


def shared_under_a_bias(emit: Any, x: Any) -> Any:
    layer = emit(conv(x))
    scaled = emit(op.multiply(emit(op.add(layer, values(5, 1, 1))), values(5, 1, 1)))
    return op.subtract(scaled, layer)


def two_factors(emit: Any, x: Any) -> Any:
    layer = emit(conv(x))
    return op.subtract(emit(op.multiply(layer, values(5, 1, 1))), emit(op.multiply(layer, values(5, 1, 1))))


def shared_norm(emit: Any, x: Any) -> Any:
    layer = emit(conv(x))
    return op.subtract(emit(norm(emit, layer)), layer)


KEPT: dict[str, tuple[Any, tuple[int, ...], list[str]]] = {
    "another operator reads the layer with its bias": (
        shared_bias,
        IMAGE,
        ["nn.conv2d", "add", "multiply", "subtract"],
    ),
    "another operator reads the product": (shared_product, (3, 4), ["matmul", "multiply", "subtract"]),
    "another operator reads the layer without its bias": (
        shared_under_a_bias,
        IMAGE,
        ["nn.conv2d", "add", "multiply", "subtract"],
    ),
    "two factors scale one layer": (two_factors, IMAGE, ["nn.conv2d", "multiply", "multiply", "subtract"]),
    "another operator reads what is normalized": (
        shared_norm,
        IMAGE,
        ["nn.conv2d", "multiply", "add", "subtract"],
    ),
    "a batch norm along the width": (
        lambda emit, x: norm(emit, emit(conv(x)), axis=3, size=2),
        IMAGE,
        ["nn.conv2d", "multiply", "add"],
    ),
    "the mean that a batch norm returns": (
        lambda emit, x: norm(emit, emit(conv(x)), field=1),
        IMAGE,
        ["nn.conv2d", "nn.batch_norm"],
    ),
    "the factor varies along the width": (
        lambda emit, x: op.multiply(emit(conv(x)), values(2)),
        IMAGE,
        ["nn.conv2d", "multiply"],
    ),
    "the weights differ from sample to sample": (
        lambda emit, x: op.multiply(emit(op.matmul(x, values(2, 4, 6))), values(6)),
        (2, 3, 4),
        ["matmul", "multiply"],
    ),
}


@pytest.mark.parametrize("case", [*FOLDED, *KEPT])
def test_the_result_stays_and_only_a_layer_that_nothing_else_reads_is_scaled(networks, relax_functions, case):
    body, shape, operators = (FOLDED | KEPT)[case]
    module = relax_functions.function(body, shape)
    assert relax_functions.after(fold_scales, module, networks.run_tvm) == operators


def test_a_batch_norm_without_sound_statistics_is_refused(relax_functions):
    def body(**attributes: Any) -> Any:
        return lambda emit, x: emit(norm(emit, emit(conv(x)), **attributes))

    with pytest.raises(ModelError, match="at run time; export the model in eval mode"):
        fold_scales(relax_functions.function(body(training=True), IMAGE))
    negative = constant(np.array([1, 1, -0.5, 1, 1], np.float32))

    def broken(emit: Any, x: Any) -> Any:
        tensors = [values(5), values(5), values(5), negative]
        return relax.TupleGetItem(emit(nn.batch_norm(x, *tensors, axis=1, training=False)), 0)

    with pytest.raises(ModelError, match="negative running variance; load sound weights"):
        fold_scales(relax_functions.function(lambda emit, x: broken(emit, emit(conv(x))), IMAGE))
