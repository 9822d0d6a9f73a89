"""Each fact that is stated about an operator holds for calls of it, as TVM or torch compute them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from tvm import relax

from tvm_vsq.graph import bindings, constant, constant_array, is_constant, op_name, static_shape
from tvm_vsq.network import Elements, Facts, Source, facts_of
from tvm_vsq.network.facts import FACTS
from tvm_vsq.registry import aspects
from tvm_vsq.torch_graph import TorchGraph
from tvm_vsq.tvm_compat import Tuple

op = relax.op
inf = float("inf")
ROWS = sorted({*FACTS} | {s.relax for s in aspects("source", Source).values() if s.facts is not None})
W = np.random.default_rng(2).standard_normal((4, 2, 3, 1), np.float32)
GAMMA = constant(np.array([0.5, -2, 1, 3], np.float32))


@dataclass(frozen=True)
class Example:
    """A call of an operator on tensors of `shapes`."""

    body: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...] = ((2, 6, 5, 4),)


def one(*bodies: Callable[[Any], Any]) -> list[Example]:
    return [Example(body) for body in bodies]


def two(operator: Callable[[Any, Any], Any], *numbers: float) -> list[Example]:
    """Two tensors, in one shape and broadcast, and a tensor beside each number."""
    shapes = [((2, 6, 5, 4), (2, 6, 5, 4)), ((2, 6, 5, 4), (6, 1, 4)), ((1,), (5, 1))]
    found = [Example(operator, given) for given in shapes]
    for number in numbers:
        beside = constant(np.full((1, 1), number, np.float32))
        found += one(lambda x, n=beside: operator(x, n), lambda x, n=beside: operator(n, x))
        found.append(Example(lambda x, n=beside: operator(x, n), ((5,),)))  # which adds an axis
    return found


def along(reduction: Callable[..., Any]) -> list[Example]:
    return one(
        lambda x: reduction(x, [1, 2]),
        lambda x: reduction(x, [1, -1], keepdims=True),
        lambda x: reduction(x, -2, keepdims=True),
        lambda x: reduction(x, None),
    )


def pools(operator: Callable[..., Any], rank: int, *window: Any, **options: Any) -> list[Example]:
    axes, shape = "DHW"[3 - rank :], (6, 5, 7)[:rank]
    return [
        Example(lambda x: operator(x, *window, layout=f"N{axes}C", **options), ((2, *shape, 4),)),
        Example(lambda x: operator(x, *window, layout=f"NC{axes}", **options), ((2, 4, *shape),)),
    ]


def depthwise(x: Any) -> Any:
    return op.nn.conv2d(x, constant(W), groups=4, data_layout="NHWC", kernel_layout="OHWI")


def depthwise_in_nchw(x: Any) -> Any:
    return op.nn.conv2d(x, constant(W.transpose(0, 3, 1, 2)), groups=4)


EXAMPLES: dict[str, list[Example]] = {
    **{
        name: one(getattr(op, name))
        for name in (
            *("abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf", "exp"),
            *(
                "floor",
                "log",
                "negative",
                "round",
                "rsqrt",
                "sigmoid",
                "sign",
                "sin",
                "sinh",
                "sqrt",
                "square",
            ),
            *("tan", "tanh", "trunc"),
        )
    },
    **{
        f"nn.{name}": one(getattr(op.nn, name))
        for name in ("gelu", "gelu_tanh", "leakyrelu", "relu", "selu", "silu", "softplus", "softmax")
    },
    "nn.layer_norm": one(lambda x: op.nn.layer_norm(x, GAMMA, GAMMA, -1)),
    "nn.rms_norm": one(lambda x: op.nn.rms_norm(x, GAMMA, -1)),
    "add": two(op.add, 1, -1),
    "astype": one(lambda x: op.astype(x, "float16"), lambda x: op.astype(x, "int8")),
    "broadcast_to": one(lambda x: op.broadcast_to(x, (3, 2, 6, 5, 4))),
    "clip": one(
        *(
            lambda x, low=low, high=high: op.clip(x, low, high)
            for low, high in ((0, 6), (-1, 1), (-inf, 2), (-inf, -1), (0.5, inf), (1, -1), (-1, -2))
        )
    ),
    "concat": [
        Example(lambda x, y, axis=axis: op.concat([x, y], axis), ((2, 6, 4), (2, 6, 4))) for axis in (0, 2)
    ],
    "divide": two(op.divide, 2, -2, -0.0),
    "expand_dims": one(lambda x: op.expand_dims(x, [0, 2]), lambda x: op.expand_dims(x, -1)),
    "flatten": one(op.flatten),
    "flip": one(lambda x: op.flip(x, 3), lambda x: op.flip(x, 1)),
    "gather_elements": one(lambda x: op.gather_elements(x, constant(np.ones((2, 6, 5, 2), np.int64)), 3)),
    "gather_nd": one(lambda x: op.gather_nd(x, constant(np.array([[1, 0], [0, 5]])))),
    "index_tensor": one(lambda x: op.index_tensor(x, (constant(np.array([1, 0, 1])),))),
    "layout_transform": one(lambda x: op.layout_transform(x, lambda n, h, w, c: (n, c // 2, h, w, c % 2))),
    "max": along(op.max),
    "maximum": two(op.maximum, 0, 1.5, -1),
    "mean": along(op.mean),
    "min": along(op.min),
    "minimum": two(op.minimum, 0, 1.5, -1),
    "multiply": two(op.multiply, 2, -2),
    "nn.adaptive_avg_pool1d": pools(op.nn.adaptive_avg_pool1d, 1, 2),
    "nn.adaptive_avg_pool2d": pools(op.nn.adaptive_avg_pool2d, 2, (2, 3)),
    "nn.adaptive_avg_pool3d": pools(op.nn.adaptive_avg_pool3d, 3, (2, 3, 1)),
    "nn.avg_pool1d": pools(op.nn.avg_pool1d, 1, 3, padding=1),
    "nn.avg_pool2d": pools(op.nn.avg_pool2d, 2, (3, 2), strides=2, padding=1),
    "nn.avg_pool3d": pools(op.nn.avg_pool3d, 3, 2, ceil_mode=True),
    "nn.batch_flatten": one(op.nn.batch_flatten),
    "nn.conv2d": [Example(depthwise), Example(depthwise_in_nchw, ((2, 4, 6, 5),))],
    "nn.max_pool1d": pools(op.nn.max_pool1d, 1, 3, padding=1),
    "nn.max_pool2d": pools(op.nn.max_pool2d, 2, (3, 2), strides=(2, 1), padding=1, ceil_mode=True),
    "nn.max_pool3d": pools(op.nn.max_pool3d, 3, 2, dilation=2),
    "nn.pad": one(
        lambda x: op.nn.pad(x, [0, 0, 1, 2, 0, 1, 0, 0], pad_value=2.0),
        lambda x: op.nn.pad(x, [0, 0, 1, 2, 0, 1, 0, 1], pad_value=-2.0),
        lambda x: op.nn.pad(x, [0, 0, 1, 2, 0, 1, 0, 0], pad_mode="reflect", pad_value=-2.0),
    ),
    "permute_dims": one(
        lambda x: op.permute_dims(x, [0, 3, 1, 2]), lambda x: op.permute_dims(x, [1, 0, 2, 3])
    ),
    "power": two(op.power, 2, -1, 0.5, -0.75, 3, -2),
    "prod": along(op.prod),
    "repeat": one(lambda x: op.repeat(x, 2, 3), lambda x: op.repeat(x, 3, 0)),
    "reshape": one(lambda x: op.reshape(x, (12, 5, 4)), lambda x: op.reshape(x, (4, 60))),
    "split": one(lambda x: op.split(x, 2, 3), lambda x: op.split(x, [1, 4], 1)),
    "squeeze": [
        Example(lambda x: op.squeeze(x, [1]), ((3, 1, 4),)),
        Example(lambda x: op.squeeze(x), ((3, 4, 1),)),
    ],
    "stack": [Example(lambda x, y, axis=axis: op.stack([x, y], axis), ((6, 4), (6, 4))) for axis in (0, 2)],
    "std": along(op.std),
    "strided_slice": one(
        lambda x: op.strided_slice(x, [1, 3], [1, 0], [6, 4], [2, 3]),
        lambda x: op.strided_slice(x, [1], [-1], [-4], [-1]),
    ),
    "subtract": two(op.subtract, 1, -1),
    "sum": along(op.sum),
    "take": one(lambda x: op.take(x, constant(np.array([[3, 0], [1, 1]])), 3)),
    "tile": one(lambda x: op.tile(x, (2, 1, 1, 3))),
    "variance": along(op.variance),
}


class Called:
    """A call, what is said of it, and what it computes."""

    def __init__(self, example: Example) -> None:
        shapes = self.shapes = example.shapes
        self.params = [relax.Var(f"x{i}", relax.TensorType(s, "float32")) for i, s in enumerate(shapes)]
        builder = relax.BlockBuilder()
        with builder.function("main", self.params):
            with builder.dataflow():
                result = builder.emit_output(builder.normalize(example.body(*self.params)))
            builder.emit_func_output(result)
        function = builder.get()["main"]
        (binding,) = bindings(function)
        self.call = binding.value
        self.facts = facts_of(self.call)
        self._graph = TorchGraph(function)

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        (result,) = self.results(*arrays)
        return result

    def results(self, *arrays: np.ndarray) -> list[np.ndarray]:
        found = self._graph(*(torch.from_numpy(np.ascontiguousarray(a)) for a in arrays))
        return [part.numpy() for part in (found if isinstance(found, tuple) else (found,))]

    def arrays(self, seed: int = 3, scale: float = 2) -> list[np.ndarray]:
        """Distinct elements of both signs."""
        rng = np.random.default_rng(seed)
        return [(scale * rng.standard_normal(shape)).astype(np.float32) for shape in self.shapes]


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def permuted(array: np.ndarray, axis: int) -> np.ndarray:
    """In another order along an axis, counted from the last, that may be of extent 1 or none at all."""
    if array.ndim < -axis or array.shape[axis] == 1:
        return array
    return array.take(np.random.default_rng(5).permutation(array.shape[axis]), axis)


def assert_unchanged(called: Called, masks: list[np.ndarray], stays: np.ndarray) -> None:
    """Where `stays`, results are the same with other operands where `masks` are True."""
    before, after = called.arrays(), called.arrays(seed=4)
    mixed = [np.where(mask, new, old) for mask, new, old in zip(masks, after, before, strict=True)]
    assert stays.any()
    assert_same(called(*mixed)[stays], called(*before)[stays])


def check_elementwise(called: Called) -> None:
    arrays = called.arrays()
    result = called(*arrays)
    assert result.shape == np.broadcast_shapes(*called.shapes, *_shapes_of_constants(called))
    assert [isinstance(arg.ty, relax.TensorType) for arg in called.call.args].count(True) == (
        called.facts.elementwise
    )
    rng = np.random.default_rng(6)
    masks = [rng.random(shape) < 0.3 for shape in called.shapes]
    is_touched = functools.reduce(np.logical_or, masks)
    assert_unchanged(called, masks, ~np.broadcast_to(is_touched, result.shape))
    for axis in range(-result.ndim, 0):
        assert_same(called(*(permuted(array, axis) for array in arrays)), permuted(result, axis))


def check_channelwise(called: Called) -> None:
    arrays = called.arrays()
    result = called(*arrays)
    channels = result.shape[-1]
    assert channels == max(shape[-1] for shape in called.shapes)
    if channels == 1:
        return
    is_new = np.arange(channels) % 3 == 1
    masks = [is_new & np.ones(shape, bool) for shape in called.shapes]
    assert_unchanged(called, masks, ~is_new & np.ones(result.shape, bool))
    if all(np.prod(shape) == 1 for shape in _shapes_of_constants(called)):  # others are moved along
        assert_same(called(*(permuted(array, -1) for array in arrays)), permuted(result, -1))


def _shapes_of_constants(called: Called) -> list[tuple[int, ...]]:
    return [static_shape(arg) for arg in called.call.args if is_constant(arg)]


def check_sign(called: Called) -> None:
    """Of operands with and without negative elements, small and large."""
    for signs in itertools.product([False, True], repeat=len(called.params)):
        known = dict(zip(called.params, signs, strict=True))

        def is_nonnegative(expr: Any, known: Any = known) -> bool:
            if isinstance(expr, Tuple):
                return all(map(is_nonnegative, expr.fields))
            return bool((constant_array(expr) >= 0).all()) if is_constant(expr) else known[expr]

        if not called.facts.nonnegative(called.call, is_nonnegative):
            continue
        for scale in (0.3, 2, 300):
            arrays = called.arrays(scale=scale)
            operands = [np.abs(a) if sign else a for a, sign in zip(arrays, signs, strict=True)]
            with np.errstate(invalid="ignore"):
                assert not any((part < 0).any() for part in called.results(*operands))


def check_elements(called: Called) -> None:
    arrays, elements = called.arrays(), called.facts.elements
    results = called.results(*arrays)
    is_view = np.array_equal(results[0].reshape(-1), arrays[0].reshape(-1))
    assert is_view == (elements is Elements.VIEWED)
    padding = {float(called.call.attrs.pad_value)} if op_name(called.call) == "relax.nn.pad" else set()
    known = padding.union(*(array.reshape(-1).tolist() for array in arrays))
    assert all(known.issuperset(part.reshape(-1).tolist()) for part in results)
    mirrored = called.results(*(-array for array in arrays))
    is_choice = not all(np.array_equal(abs(a), abs(b)) for a, b in zip(results, mirrored, strict=True))
    assert is_choice == (elements is Elements.CHOSEN)


def check_clamp(called: Called, low: float, high: float) -> None:
    (x,) = called.arrays()
    assert low <= high
    np.testing.assert_array_equal(called(x), np.clip(x, np.float32(low), np.float32(high)))


@pytest.mark.parametrize("name", ROWS)
def test_what_is_said_of_an_operator_holds(name):
    for example in EXAMPLES[name.removeprefix("relax.")]:
        called = Called(example)
        assert op_name(called.call) == name
        facts = called.facts
        check_sign(called)
        if facts.elementwise:
            check_elementwise(called)
        if facts.channelwise(called.call):
            check_channelwise(called)
        if facts.elements is not Elements.COMPUTED:
            check_elements(called)
        if (clamp := facts.clamp(called.call)) is not None:
            check_clamp(called, *clamp)


def test_every_row_has_examples():
    assert sorted(f"relax.{name}" for name in EXAMPLES) == ROWS


def test_an_operator_of_the_accelerator_brings_its_own_facts(monkeypatch):
    monkeypatch.setitem(FACTS, "relax.nn.conv2d", Facts(elementwise=1))
    called = Called(Example(depthwise))
    assert called.facts.elementwise == 0
    assert called.facts.channelwise(called.call)


def test_a_bound_of_nan_is_no_clamp():
    x = relax.Var("x", relax.TensorType((3,), "float32"))
    for operator in (op.maximum, op.minimum):
        assert facts_of(operator(x, relax.const(np.nan))).clamp(operator(x, relax.const(np.nan))) is None


def test_nothing_is_known_of_other_operators_and_of_what_is_no_call():
    x = relax.Var("x", relax.TensorType((3,), "float32"))
    assert facts_of(op.cumsum(x)) == facts_of(x) == facts_of(Tuple([x])) == Facts()
