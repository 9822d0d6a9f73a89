"""Broadcasts, pads, indices and layouts: what is rewritten computes the same, and what must stay does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tvm import relax

from tvm_vsq.errors import ModelError
from tvm_vsq.frontend.fold_pads import fold_pads
from tvm_vsq.frontend.nhwc import convolutions_to_nhwc
from tvm_vsq.frontend.powers import powers_to_products
from tvm_vsq.frontend.sink_permutes import sink_permutes
from tvm_vsq.frontend.unbroadcast import unbroadcast
from tvm_vsq.frontend.wrap_indices import wrap_indices
from tvm_vsq.graph import constant

op, nn = relax.op, relax.op.nn
RNG = np.random.default_rng(0)
IMAGE = (2, 4, 7, 6)


def values(*shape: int) -> Any:
    return constant(RNG.standard_normal(shape).astype(np.float32))


def conv(x: Any, **attributes: Any) -> Any:
    return nn.conv2d(x, values(6, 2, 3, 2), groups=2, **attributes)


def padded(emit: Any, x: Any, widths: tuple[int, ...], *mode: Any, **attributes: Any) -> Any:
    return conv(emit(nn.pad(x, widths, *mode)), **attributes)


def resize(**attributes: Any) -> Any:
    def body(emit: Any, x: Any) -> Any:
        size = relax.ShapeExpr((5, 9))
        return op.image.resize2d(emit(op.permute_dims(x, [0, 3, 1, 2])), size, layout="NCHW", **attributes)

    return body


REPEATED = np.broadcast_to(RNG.standard_normal((1, 4, 5)).astype(np.float32), (3, 4, 5))
ROUND = (0, 0, 0, 0, 1, 0, 2, 1)
OTHER = {"strides": (2, 1), "padding": (0, 1, 2, 3), "dilation": (2, 3)}
CASES: dict[str, tuple[Any, Any, list[tuple[int, ...]], list[str]]] = {
    "a broadcast to its own shape goes": (
        unbroadcast,
        lambda emit, x: nn.relu(emit(op.broadcast_to(x, (2, 3)))),
        [(2, 3)],
        ["nn.relu"],
    ),
    "a broadcast of one row stays": (
        unbroadcast,
        lambda emit, x: nn.relu(emit(op.broadcast_to(x, (2, 3)))),
        [(1, 3)],
        ["broadcast_to", "nn.relu"],
    ),
    "a whole power is a product": (
        powers_to_products,
        lambda emit, x: op.power(x, constant(np.float32(5))),
        [(2, 3)],
        ["multiply", "multiply", "multiply"],
    ),
    "a power of a fraction stays": (
        powers_to_products,
        lambda emit, x: op.power(emit(op.abs(x)), constant(np.float32(3.5))),
        [(2, 3)],
        ["abs", "power"],
    ),
    "weights that repeat become one matrix": (
        unbroadcast,
        lambda emit, x: op.matmul(x, constant(np.ascontiguousarray(REPEATED))),
        [(3, 2, 4)],
        ["matmul"],
    ),
    "weights that repeat stay where they make the samples": (
        unbroadcast,
        lambda emit, x: op.matmul(x, constant(np.ascontiguousarray(REPEATED))),
        [(2, 4)],
        ["matmul"],
    ),
    "weights that differ stay": (
        unbroadcast,
        lambda emit, x: op.matmul(x, values(3, 4, 5)),
        [(3, 2, 4)],
        ["matmul"],
    ),
    "zeros around an image become padding, beside padding and the rest": (
        fold_pads,
        lambda emit, x: padded(emit, x, ROUND, **OTHER),
        [IMAGE],
        ["nn.conv2d"],
    ),
    "zeros around an image with its channels last": (
        fold_pads,
        lambda emit, x: padded(emit, x, (0, 0, 1, 0, 2, 1, 0, 0), data_layout="NHWC"),
        [(2, 7, 6, 4)],
        ["nn.conv2d"],
    ),
    "other values stay": (
        fold_pads,
        lambda emit, x: padded(emit, x, ROUND, "constant", 1.5),
        [IMAGE],
        ["nn.pad", "nn.conv2d"],
    ),
    "reflected values stay": (
        fold_pads,
        lambda emit, x: padded(emit, x, ROUND, "reflect"),
        [IMAGE],
        ["nn.pad", "nn.conv2d"],
    ),
    "zeros for channels stay": (
        fold_pads,
        lambda emit, x: padded(emit, x, (0, 0, 1, 1, 0, 0, 0, 0)),
        [(2, 2, 7, 6)],
        ["nn.pad", "nn.conv2d"],
    ),
    "zeros for samples stay": (
        fold_pads,
        lambda emit, x: padded(emit, x, (1, 0, 0, 0, 0, 0, 0, 0)),
        [IMAGE],
        ["nn.pad", "nn.conv2d"],
    ),
    "what is cut off stays cut off": (
        fold_pads,
        lambda emit, x: padded(emit, x, (0, 0, 0, 0, -1, 0, 2, 1), padding=(1, 1, 1, 1)),
        [IMAGE],
        ["nn.pad", "nn.conv2d"],
    ),
    "a convolution in NCHW keeps its attributes": (
        convolutions_to_nhwc,
        lambda emit, x: conv(x, **OTHER),
        [IMAGE],
        ["permute_dims", "nn.conv2d", "permute_dims"],
    ),
    "a bilinear resize": (
        sink_permutes,
        resize(method="linear", coordinate_transformation_mode="align_corners"),
        [(2, 7, 6, 4)],
        ["image.resize2d", "permute_dims"],
    ),
    "a bicubic resize": (
        sink_permutes,
        resize(method="cubic", cubic_alpha=-0.5, coordinate_transformation_mode="asymmetric"),
        [(2, 7, 6, 4)],
        ["image.resize2d", "permute_dims"],
    ),
    "a nearest resize": (
        sink_permutes,
        resize(
            method="nearest_neighbor",
            rounding_method="floor",
            coordinate_transformation_mode="asymmetric",
        ),
        [(2, 7, 6, 4)],
        ["image.resize2d", "permute_dims"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_rewritten_computes_the_same(networks, relax_functions, case):
    rewrite, body, shapes, operators = CASES[case]
    module = relax_functions.function(body, *shapes)
    assert relax_functions.after(rewrite, module, networks.run_tvm, 1e-4) == operators


def test_a_convolution_may_have_another_layout_behind_it(networks, relax_functions):
    kernel = values(6, 2, 3, 2)

    def body(**layouts: str) -> Any:
        return lambda emit, x: nn.conv2d(x, kernel, groups=2, **layouts)

    plain = relax_functions.function(body(), IMAGE)
    rewritten = convolutions_to_nhwc(relax_functions.function(body(out_layout="NHWC"), IMAGE))
    (x,) = relax_functions.inputs_of(plain)
    (expected,), (found,) = (networks.run_tvm(m, x) for m in (plain, rewritten))
    np.testing.assert_allclose(found, expected.transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-5)
    assert relax_functions.operators(rewritten) == ["permute_dims", "nn.conv2d"]


def taken(relax_functions: Any, places: list[int], axis: int) -> Any:
    indices = constant(np.array(places, np.int64))
    return relax_functions.function(lambda emit, x: op.take(x, indices, axis), (2, 3, 5))


@pytest.mark.parametrize(("places", "axis"), [([-1, 0, -3], 1), ([4, -5], 2), ([-2, 1], -3)])
def test_indices_from_the_end_are_those_of_numpy(networks, relax_functions, places, axis):
    module = taken(relax_functions, places, axis)
    (x,) = relax_functions.inputs_of(module)
    (found,) = networks.run_tvm(wrap_indices(module), x)
    np.testing.assert_array_equal(found, np.take(x, places, axis))


@pytest.mark.parametrize("place", [3, -4])
def test_an_index_outside_its_axis_is_refused(relax_functions, place):
    with pytest.raises(ModelError, match=rf"an index \[0, {place}\] is outside an axis of 3 elements"):
        wrap_indices(taken(relax_functions, [0, place], 1))
