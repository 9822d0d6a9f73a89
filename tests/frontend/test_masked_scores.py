"""The one form of masks in front of a softmax, and what is left as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.frontend.test_attention import number
from tvm import relax

from tvm_vsq.errors import ModelError
from tvm_vsq.frontend.finite_masks import finite_masks
from tvm_vsq.frontend.fold_constants import fold_constants
from tvm_vsq.frontend.fold_masks import fold_masks
from tvm_vsq.frontend.masked_scores import masks_to_sums
from tvm_vsq.graph import bindings, constant, constant_array, definitions, is_constant, op_name, static_shape

op, nn_ = relax.op, relax.op.nn
CAUSAL = np.tril(np.ones((4, 4), bool))
SHAPES = ((2, 3, 4, 5), (2, 3, 5, 4))


def attention(hidden: Callable[..., Any]) -> Callable[..., Any]:
    """softmax of a product [2, 3, 4, 4], of which something is hidden."""

    def body(emit: Any, q: Any, k: Any, *others: Any) -> Any:
        return nn_.softmax(emit(hidden(emit, emit(op.matmul(q, k)), *others)), -1)

    return body


def mask_of(module: Any) -> Any:
    """What is added in front of the softmax."""
    values = definitions(module["main"])
    (softmax,) = (b.value for b in bindings(module["main"]) if op_name(b.value) == "relax.nn.softmax")
    total = values[softmax.args[0]]
    assert op_name(total) == "relax.add"
    return values.get(total.args[1], total.args[1])


@pytest.mark.parametrize("low", [-1e4, -1e9, float(np.finfo(np.float32).min)])
@pytest.mark.parametrize("is_filled", [True, False])
def test_a_choice_of_constants_is_a_constant_mask(networks, relax_functions, low, is_filled):
    passes = constant(~CAUSAL if is_filled else CAUSAL)

    def hidden(emit: Any, s: Any) -> Any:
        return op.where(passes, number(low), s) if is_filled else op.where(passes, s, number(low))

    module = relax_functions.function(attention(hidden), *SHAPES)
    assert relax_functions.after(masks_to_sums, module, networks.run_tvm) == ["matmul", "add", "nn.softmax"]
    mask = mask_of(masks_to_sums(module))
    assert static_shape(mask) == (1, 1, 4, 4)
    assert np.array_equal(constant_array(mask)[0, 0], np.where(CAUSAL, 0, np.finfo(np.float32).min))


def test_choices_one_after_the_other_are_one_of_what_all_let_pass(networks, relax_functions):
    def hidden(emit: Any, s: Any, x: Any) -> Any:
        causal = emit(op.where(constant(CAUSAL), s, number(-1e9)))
        return op.where(emit(op.greater(x, number(0))), causal, number(-1e9))

    module = relax_functions.function(attention(hidden), *SHAPES, (2, 1, 1, 4))
    found = relax_functions.after(masks_to_sums, module, networks.run_tvm)
    assert sorted(found) == ["add", "greater", "logical_and", "matmul", "nn.softmax", "where"]
    assert op_name(mask_of(masks_to_sums(module))) == "relax.where"


def test_masks_that_are_added_are_added_to_each_other_first(networks, relax_functions):
    bias = constant(np.linspace(-1, 1, 4, dtype=np.float32))

    def hidden(emit: Any, s: Any, x: Any) -> Any:
        return op.add(emit(op.add(s, bias)), x)

    module = relax_functions.function(attention(hidden), *SHAPES, (2, 1, 1, 4))
    found = relax_functions.after(masks_to_sums, module, networks.run_tvm, 1e-5)
    assert found == ["matmul", "add", "clip", "add", "nn.softmax"]


def test_the_sum_of_two_masks_of_least_numbers_hides_as_one(networks, relax_functions):
    least = constant(np.where(CAUSAL, 0, np.finfo(np.float32).min))
    module = relax_functions.function(
        attention(lambda emit, s: op.add(emit(op.add(s, least)), least)), *SHAPES
    )
    mask = mask_of(masks_to_sums(module))
    assert is_constant(mask)
    assert np.isfinite(constant_array(mask)).all()


@pytest.mark.parametrize("low", [-100.0, 0.0, 1e9])
def test_numbers_that_hide_nothing_for_sure_stay(networks, relax_functions, low):
    module = relax_functions.function(
        attention(lambda _emit, s: op.where(constant(CAUSAL), s, number(low))), *SHAPES
    )
    assert relax_functions.after(masks_to_sums, module, networks.run_tvm) == ["matmul", "where", "nn.softmax"]


def test_a_sum_of_two_products_has_no_mask(networks, relax_functions):
    def hidden(emit: Any, s: Any, x: Any) -> Any:
        return op.add(s, emit(op.matmul(x, x)))

    module = relax_functions.function(attention(hidden), *SHAPES, (4, 4))
    assert relax_functions.after(masks_to_sums, module, networks.run_tvm) == [
        "matmul",
        "matmul",
        "add",
        "nn.softmax",
    ]


def test_minus_infinity_of_two_masks_is_one_choice(networks, relax_functions):
    known = constant(np.where(CAUSAL, np.float32(0), np.float32(-np.inf)))

    def body(emit: Any, x: Any) -> Any:
        padding = emit(op.where(emit(op.greater(x, number(0))), number(0), number(-np.inf)))
        return op.add(known, padding)

    module = relax_functions.function(body, (2, 1, 4))
    assert relax_functions.after(fold_masks, module, networks.run_tvm) == ["greater", "logical_and", "where"]


def test_minus_infinity_is_the_least_number_behind_the_guards(networks, relax_functions):
    known = constant(np.where(CAUSAL, np.float32(0), np.float32(-np.inf)))
    module = relax_functions.function(attention(lambda _emit, s: op.add(s, known)), *SHAPES)
    assert relax_functions.after(finite_masks, module, networks.run_tvm) == ["matmul", "add", "nn.softmax"]
    assert np.isfinite(constant_array(mask_of(finite_masks(module)))).all()
    given = relax_functions.function(attention(lambda _emit, s, x: op.add(s, x)), *SHAPES, (2, 1, 4, 4))
    assert relax_functions.after(finite_masks, given, networks.run_tvm) == [
        "matmul",
        "clip",
        "add",
        "nn.softmax",
    ]


def test_a_row_without_any_place_visible_is_an_error(relax_functions):
    known = np.zeros((4, 4), np.float32)
    known[2] = -np.inf
    module = relax_functions.function(attention(lambda _emit, s: op.add(s, constant(known))), *SHAPES)
    with pytest.raises(ModelError, match=r"mask \[4, 4\] .* is minus infinity in all of row \[2\]"):
        finite_masks(module)


def test_one_number_in_a_shape_is_folded(relax_functions):
    """TVM's own folding fails of it."""

    def body(emit: Any, x: Any) -> Any:
        return op.maximum(x, emit(op.full((4, 4), number(-np.inf), "float32")))

    module = fold_constants(relax_functions.function(body, (4, 4)))
    ((_x, full),) = (list(b.value.args) for b in bindings(module["main"]))
    assert np.array_equal(constant_array(full), np.full((4, 4), -np.inf, np.float32))
