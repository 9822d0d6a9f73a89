"""Transformers in the canonical form: attention as products, a scale, a mask, a softmax; norms as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.canonical import through_onnx
from tests.seeds import first_of, one_of
from tests.transformers_models import Decoder, Encoder, batch, calls, is_attention, same_as_torch
from torch import nn
from torch.nn import functional as F
from tvm import relax

from tvm_vsq.frontend.fold_logic import fold_logic
from tvm_vsq.frontend.identities import lookups_to_reshapes
from tvm_vsq.frontend.nan_guards import guards_to_choices
from tvm_vsq.frontend.norms import norms_to_operators
from tvm_vsq.frontend.products import products_of_activations
from tvm_vsq.frontend.softmaxes import softmaxes_to_operators
from tvm_vsq.frontend.unbroadcast import unbroadcast
from tvm_vsq.graph import constant, static_shape

op, nn_ = relax.op, relax.op.nn
RNG = np.random.default_rng(0)
SPELLED = ["exp", "mean", "power", "rsqrt", "sqrt", "square", "subtract", "variance"]


def values(*shape: int) -> Any:
    return constant(RNG.standard_normal(shape).astype(np.float32))


def number(value: float) -> Any:
    return constant(np.array(value, np.float32))


@pytest.mark.parametrize("kind", one_of(["eager", "sdpa"]))
@pytest.mark.parametrize(("rows", "length"), first_of([(3, 17), (1, 1), (1, 17)], 1))
def test_an_encoder_layer(kind, rows, length):
    module = same_as_torch(Encoder(kind), batch(rows, length))
    assert is_attention(module)
    assert len(calls(module, "nn.layer_norm")) == 3
    assert not [name for name in SPELLED[1:] if calls(module, name) and name != "subtract"]
    assert [str(param.name) for param in module["main"].params] == ["input_ids", "attention_mask"]


def test_the_mask_is_added_as_small_as_it_comes():
    for kind in ("eager", "sdpa"):
        module = same_as_torch(Encoder(kind), batch(3, 17))
        (softmax,) = calls(module, "nn.softmax")
        values_ = {b.var: b.value for b in module["main"].body.blocks[0].bindings}
        assert static_shape(values_[softmax.args[0]].args[1]) == (3, 1, 1, 17)


@pytest.mark.parametrize("kind", one_of(["eager", "sdpa"]))
def test_an_encoder_layer_without_a_mask_has_no_guard(kind):
    module = same_as_torch(Encoder(kind), {"input_ids": batch(3, 7)["input_ids"]})
    assert is_attention(module)
    assert not calls(module, "where")


@pytest.mark.large
def test_an_encoder_layer_of_onnx():
    for kind in ("eager", "sdpa"):
        module = through_onnx(Encoder(kind), *batch(2, 5).values())
        assert is_attention(module)
        assert len(calls(module, "nn.layer_norm")) == 3


def test_a_decoder_layer():
    module = same_as_torch(Decoder(), {"input_ids": batch(2, 9)["input_ids"]})
    assert is_attention(module)
    assert len(calls(module, "nn.rms_norm")) == 3
    assert not [name for name in SPELLED if calls(module, name)]


class Dot(nn.Module):
    """torch's own attention of three inputs, and of a mask."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    def forward(self, q: Any, k: Any, v: Any, mask: Any = None) -> Any:
        return F.scaled_dot_product_attention(q, k, v, mask, **self.options)


def qkv(heads: int = 2) -> tuple[torch.Tensor, ...]:
    return torch.randn(2, 2, 5, 8), torch.randn(2, heads, 7, 8), torch.randn(2, heads, 7, 6)


def closed(*shape: int) -> torch.Tensor:
    """A mask of which row 0 of sample 1 is closed as a whole."""
    mask = torch.rand(shape) > 0.4
    mask[..., 0] = True
    mask[1, :, 0] = False
    return mask


@pytest.mark.parametrize(
    ("options", "mask"),
    first_of(
        [
            ({}, None),
            ({"scale": 0.3}, None),
            ({"is_causal": True}, None),
            ({}, closed(2, 1, 5, 7)),
            ({}, closed(2, 2, 1, 7)),
            ({}, torch.where(closed(2, 1, 5, 7), 0.5, -torch.inf)),
            ({}, torch.randn(2, 2, 5, 7)),
        ],
        4,
    ),
)
def test_attention_of_torch_with_rows_that_are_masked_as_a_whole(options, mask):
    model, inputs = Dot(**options), qkv()
    if mask is not None:
        model.mask = mask
        model.forward = lambda q, k, v: Dot.forward(model, q, k, v, model.mask)
    assert is_attention(same_as_torch(model, inputs))


def test_a_closed_row_of_a_mask_that_is_an_input_gives_zeros():
    inputs = (*qkv(), closed(2, 1, 5, 7))
    with torch.no_grad():
        assert not Dot()(*inputs)[1, :, 0].any()
    assert is_attention(same_as_torch(Dot(), inputs))


def test_grouped_queries_of_torch():
    q = torch.randn(2, 4, 5, 8)
    assert is_attention(same_as_torch(Dot(enable_gqa=True), (q, *qkv()[1:])))


def _layer_norm(root: Any, squared: Callable[[Any], Any]) -> Callable[..., Any]:
    def body(emit: Any, x: Any) -> Any:
        mean = emit(op.mean(x, [-1], keepdims=True))
        centred = emit(op.subtract(x, mean))
        variance = emit(op.mean(emit(squared(centred)), [-1], keepdims=True))
        normed = emit(root(emit, centred, emit(op.add(variance, number(1e-5)))))
        return op.add(emit(op.multiply(normed, values(6))), values(6))

    return body


def _rms_norm(root: Any, squared: Callable[[Any], Any]) -> Callable[..., Any]:
    def body(emit: Any, x: Any) -> Any:
        mean = emit(op.mean(emit(squared(x)), [-1], keepdims=True))
        normed = emit(root(emit, x, emit(op.add(mean, number(1e-6)))))
        return op.multiply(values(6), normed)

    return body


ROOTS: dict[str, Any] = {
    "divide by sqrt": lambda emit, x, v: op.divide(x, emit(op.sqrt(v))),
    "rsqrt": lambda emit, x, v: op.multiply(x, emit(op.rsqrt(v))),
    "rsqrt in front": lambda emit, x, v: op.multiply(emit(op.rsqrt(v)), x),
    "reciprocal of sqrt": lambda emit, x, v: op.multiply(x, emit(op.divide(number(1), emit(op.sqrt(v))))),
    "power": lambda emit, x, v: op.multiply(x, emit(op.power(v, number(-0.5)))),
}
SQUARES: dict[str, Any] = {
    "multiply": lambda x: op.multiply(x, x),
    "power": lambda x: op.power(x, number(2)),
    "square": op.square,
}


@pytest.mark.parametrize("squared", one_of(SQUARES))
@pytest.mark.parametrize("root", first_of(ROOTS, 3))
def test_norms_that_are_spelled_out(networks, relax_functions, root, squared):
    for body, expected in ((_layer_norm, "nn.layer_norm"), (_rms_norm, "nn.rms_norm")):
        module = relax_functions.function(body(ROOTS[root], SQUARES[squared]), (2, 5, 6))
        assert relax_functions.after(norms_to_operators, module, networks.run_tvm, 1e-4) == [expected]


def _other(change: str) -> Callable[..., Any]:
    """What looks like a norm, and is none."""

    def body(emit: Any, x: Any) -> Any:
        axis = 1 if change == "another axis" else 2
        mean = emit(op.mean(x, [axis], keepdims=True))
        other = emit(op.multiply(x, number(2))) if change == "the mean of something else" else x
        centred = emit(op.subtract(other, mean))
        of = x if change == "squares of something else" else centred
        variance = emit(op.mean(emit(op.multiply(of, of)), [axis], keepdims=True))
        root = emit(op.sqrt(emit(op.add(variance, number(1e-5)))))
        return op.multiply(emit(op.divide(centred, root)), values(6))

    return body


@pytest.mark.parametrize("change", ["another axis", "squares of something else"])
def test_what_is_no_norm_stays(networks, relax_functions, change):
    module = relax_functions.function(_other(change), (2, 5, 6))
    found = relax_functions.after(norms_to_operators, module, networks.run_tvm, 1e-4)
    assert found[-3:] == ["sqrt", "divide", "multiply"]


def test_the_mean_of_something_else_is_only_the_root_of_squares(networks, relax_functions):
    module = relax_functions.function(_other("the mean of something else"), (2, 5, 6))
    found = relax_functions.after(norms_to_operators, module, networks.run_tvm, 1e-4)
    assert found == ["mean", "multiply", "subtract", "nn.rms_norm"]


def test_a_norm_of_groups_stays_as_exact_as_it_is():
    module = same_as_torch(nn.GroupNorm(2, 6), (torch.randn(2, 6, 4, 3),))
    assert not calls(module, "nn.layer_norm")


def test_a_softmax_that_is_spelled_out(networks, relax_functions):
    def body(axis: int) -> Callable[..., Any]:
        def softmax(emit: Any, x: Any) -> Any:
            shifted = emit(op.subtract(x, emit(op.max(x, [axis], keepdims=True))))
            powers = emit(op.exp(shifted))
            return op.divide(powers, emit(op.sum(powers, [axis], keepdims=True)))

        return softmax

    for axis, expected in ((-1, ["nn.softmax"]), (1, ["max", "subtract", "exp", "sum", "divide"])):
        module = relax_functions.function(body(axis), (2, 3, 5))
        assert relax_functions.after(softmaxes_to_operators, module, networks.run_tvm) == expected


def test_products_of_joined_axes_and_scaled_operands(networks, relax_functions):
    def body(emit: Any, q: Any, k: Any) -> Any:
        joined = emit(op.reshape(emit(op.multiply(q, number(0.5))), (6, 4, 5)))
        turned = emit(op.permute_dims(emit(op.divide(k, number(4))), [0, 1, 3, 2]))
        product = emit(op.matmul(joined, emit(op.reshape(turned, (6, 5, 7)))))
        return op.reshape(emit(nn_.softmax(emit(op.reshape(product, (2, 3, 4, 7))), -1)), (6, 4, 7))

    module = relax_functions.function(body, (2, 3, 4, 5), (2, 3, 7, 5))
    found = relax_functions.after(products_of_activations, module, networks.run_tvm, 1e-4)
    assert found == ["permute_dims", "matmul", "multiply", "nn.softmax", "reshape"]


def test_heads_that_were_joined_to_images_where_channels_were_split(networks, relax_functions):
    """As torch's multi-head attention has them, of sequences first, with a mask for all and one for each."""

    def body(emit: Any, q: Any, k: Any, mask: Any, masks: Any) -> Any:
        def heads(x: Any) -> Any:
            return emit(op.permute_dims(emit(op.reshape(x, (7, 6, 5))), [1, 0, 2]))

        turned = emit(op.permute_dims(heads(k), [0, 2, 1]))
        scores = emit(op.add(mask, emit(op.matmul(heads(q), turned))))
        return op.matmul(emit(nn_.softmax(emit(op.add(scores, masks)), -1)), heads(k))

    module = relax_functions.function(body, (7, 2, 15), (7, 2, 15), (7, 7), (6, 7, 7))
    found = relax_functions.after(products_of_activations, module, networks.run_tvm, 1e-4)
    assert found.count("matmul") == 2
    masked = found[found.index("add") : found.index("nn.softmax") + 1]
    assert masked == ["add", "reshape", "add", "nn.softmax"]
    assert found[-1] == "reshape"  # of a product of [2, 3, 7, 5]


def test_one_head_of_sequences_first(networks, relax_functions):
    def body(emit: Any, q: Any, k: Any) -> Any:
        q, k = (emit(op.permute_dims(x, [1, 0, 2])) for x in (q, k))
        return op.matmul(q, emit(op.permute_dims(k, [0, 2, 1])))

    module = relax_functions.function(body, (7, 2, 15), (7, 2, 15))
    found = relax_functions.after(products_of_activations, module, networks.run_tvm, 1e-4)
    assert found[-4:] == ["reshape", "reshape", "matmul", "reshape"]  # of [2, 1, 7, 15]


def test_matrices_of_images_stay(networks, relax_functions):
    def body(emit: Any, q: Any, k: Any) -> Any:
        return op.matmul(q, emit(op.permute_dims(k, [0, 2, 1])))

    module = relax_functions.function(body, (2, 7, 15), (2, 7, 15))
    found = relax_functions.after(products_of_activations, module, networks.run_tvm, 1e-4)
    assert found == ["permute_dims", "matmul"]


def test_axes_that_are_joined_otherwise_stay(networks, relax_functions):
    def body(emit: Any, q: Any, k: Any) -> Any:
        return op.matmul(emit(op.reshape(q, (6, 4, 5))), emit(op.reshape(k, (6, 5, 7))))

    module = relax_functions.function(body, (2, 3, 4, 5), (3, 2, 5, 7))
    found = relax_functions.after(products_of_activations, module, networks.run_tvm, 1e-4)
    assert found == ["reshape", "reshape", "matmul"]


def test_logic_that_constants_decide(networks, relax_functions):
    true, false = (constant(np.full((3, 4), outcome)) for outcome in (True, False))

    def body(emit: Any, x: Any) -> Any:
        positive = emit(op.greater(x, number(0)))
        kept = emit(op.bitwise_and(true, positive))
        kept = emit(op.logical_or(kept, false))
        chosen = emit(op.where(kept, x, number(-1)))
        chosen = emit(op.where(true, chosen, emit(op.exp(x))))
        return op.where(false, emit(op.exp(x)), emit(op.astype(chosen, "float32")))

    module = relax_functions.function(body, (3, 4))
    found = relax_functions.after(fold_logic, module, networks.run_tvm)
    assert found == ["greater", "where"]


def test_logic_that_constants_do_not_decide_stays(networks, relax_functions):
    some = constant(np.array([[True, False, True, True]] * 3))

    def body(emit: Any, x: Any) -> Any:
        both = emit(op.logical_and(emit(op.greater(x, number(0))), some))
        return op.where(both, x, number(-1))

    module = relax_functions.function(body, (3, 4))
    assert relax_functions.after(fold_logic, module, networks.run_tvm) == ["greater", "logical_and", "where"]


def test_a_mask_is_computed_before_it_is_repeated(networks, relax_functions):
    def body(emit: Any, x: Any, scores: Any) -> Any:
        wide = emit(op.broadcast_to(x, (2, 3, 4)))
        mask = emit(op.where(emit(op.greater(wide, number(0))), number(0), number(-9)))
        return op.add(scores, mask)

    module = relax_functions.function(body, (2, 1, 4), (2, 3, 4))
    assert relax_functions.after(unbroadcast, module, networks.run_tvm) == ["greater", "where", "add"]


@pytest.mark.parametrize(
    ("least", "expected"),
    [
        (-1e9, ["greater", "where", "add", "nn.softmax", "matmul"]),
        (
            -np.inf,
            ["greater", "where", "add", "nn.softmax", "astype", "sum", "greater", "matmul", "where"],
        ),
    ],
)
def test_guards_against_nan(networks, relax_functions, least, expected):
    def body(emit: Any, scores: Any, mask: Any, v: Any) -> Any:
        passes = emit(op.greater(mask, number(0.5)))
        p = emit(nn_.softmax(emit(op.add(scores, emit(op.where(passes, number(0), number(least))))), -1))
        return op.matmul(emit(op.where(emit(op.isnan(p)), number(0), p)), v)

    module = relax_functions.function(body, (2, 3, 4), (2, 1, 4), (2, 4, 5))
    assert sorted(relax_functions.after(guards_to_choices, module, networks.run_tvm)) == sorted(expected)
    closed_ = [
        np.ones((2, 3, 4), np.float32),
        np.zeros((2, 1, 4), np.float32),
        np.ones((2, 4, 5), np.float32),
    ]
    results = [networks.run_tvm(each, *closed_)[0] for each in (module, guards_to_choices(module))]
    np.testing.assert_allclose(*results, atol=1e-6)


@pytest.mark.parametrize("is_open", [True, False])
def test_a_constant_mask_with_a_closed_row_keeps_its_guard(networks, relax_functions, is_open):
    mask = np.full((3, 4), -np.inf, np.float32)
    mask[:, 1] = 0
    mask[2, 1] = 0 if is_open else -np.inf

    def body(emit: Any, scores: Any) -> Any:
        p = emit(nn_.softmax(emit(op.add(scores, constant(mask))), -1))
        return op.where(emit(op.isnan(p)), number(0), p)

    module = relax_functions.function(body, (2, 3, 4))
    found = relax_functions.after(guards_to_choices, module, networks.run_tvm)
    assert found == ["add", "nn.softmax"] + ([] if is_open else ["isnan", "where"])


def test_lookups_of_everything_in_order_are_reshapes(networks, relax_functions):
    grid = np.stack(np.meshgrid(np.arange(2), np.arange(3), indexing="ij"), -1)[:, None]

    def body(order: Any) -> Callable[..., Any]:
        return lambda emit, x: op.gather_nd(emit(op.take(x, order, 0, mode="clip")), constant(grid))

    for order, expected in (([0, 1], ["reshape"]), ([1, 0], ["take", "reshape"])):
        module = relax_functions.function(body(constant(np.array(order))), (2, 3, 4))
        assert relax_functions.after(lookups_to_reshapes, module, networks.run_tvm) == expected
