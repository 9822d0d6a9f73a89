"""Calibration sees every sample, and refuses data that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax
from tvm.ir import IRModule

from tvm_vsq.errors import CalibrationError
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings
from tvm_vsq.quantize import Range, calibrate
from tvm_vsq.quantize.data import batches


def module(*shapes: tuple[int, ...]) -> IRModule:
    """exp of the sum of all inputs."""
    params = [relax.Var(f"x{i}", relax.TensorType(shape, "float32")) for i, shape in enumerate(shapes)]
    builder = relax.BlockBuilder()
    with builder.function("main", params):
        with builder.dataflow():
            total = params[0]
            for param in params[1:]:
                total = builder.emit(relax.op.add(total, param))
            result = builder.emit_output(relax.op.exp(total))
        builder.emit_func_output(result)
    return builder.get()


def ranges(mod: IRModule, data) -> list[Range]:
    points = [*mod["main"].params, *(binding.var for binding in bindings(mod["main"]))]
    return list(calibrate(mod, points, data).values())


X = np.arange(-6, 6, dtype=np.float32).reshape(6, 2)


@pytest.mark.parametrize(
    "data",
    [
        X,
        torch.tensor(X),
        torch.tensor(X, requires_grad=True),
        [X[:1], X[1:]],
        [X[:5], torch.tensor(X[5:])],
        (row[None] for row in X),
        [(X[:3],), [X[3:]]],
        (X,),
        X.T.copy().T,
    ],
    ids=["array", "torch", "grad", "list", "mixed", "generator", "tuples", "tuple", "strided"],
)
def test_all_forms_of_data_give_the_same_ranges(data):
    found = ranges(module((4, 2)), data)
    assert found[0] == Range(-6.0, 5.0)
    assert found[0].absmax == 6.0
    np.testing.assert_allclose([found[1].min, found[1].max], np.exp([-6.0, 5.0]), rtol=1e-5)


def test_the_last_incomplete_batch_counts():
    data = np.zeros((9, 2), np.float32)
    data[8] = 3
    assert ranges(module((4, 2)), data)[0] == Range(0.0, 3.0)


def test_fewer_samples_than_a_batch_are_enough():
    assert ranges(module((4, 2)), X[:1])[0] == Range(-6.0, -5.0)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 5), st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_batches_hold_every_row_once_apart_from_the_padding(size, counts):
    rows = np.arange(sum(counts), dtype=np.float32)[:, None]
    pieces = np.split(rows, np.cumsum(counts)[:-1])
    found = [batch for (batch,) in batches(module((size, 1))["main"], pieces)]
    assert all(batch.shape == (size, 1) for batch in found)
    flat = np.concatenate(found)[:, 0]
    np.testing.assert_array_equal(flat[: len(rows)], rows[:, 0])
    assert set(flat[len(rows) :]) <= set(rows[len(rows) // size * size :, 0])


def test_several_inputs_come_as_tuples():
    found = ranges(module((2, 2), (2, 2)), [(X, -X), (X[:1], X[:1])])
    assert (found[0], found[1]) == (Range(-6.0, 5.0), Range(-6.0, 6.0))


def test_inputs_without_a_common_batch_axis_need_their_exact_shapes():
    mod = module((3, 2), (1, 2))
    assert ranges(mod, [(X[:3], X[:1])])[1] == Range(-6.0, -5.0)
    with pytest.raises(
        CalibrationError, match=r"calibration\[0\], input 'x0': shape \[6, 2\].*expected \[3, 2\]"
    ):
        ranges(mod, [(X, X[:1])])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "calibration data are missing"),
        ([], "holds no data"),
        (3, "calibration is a int"),
        ({"x": X}, "calibration\\[0\\] lacks 'x0' and holds 'x'"),
        (["a"], r"calibration\[0\] is a str"),
        ([(X, X)], r"calibration\[0\] holds 2 arrays, the network has 1 inputs"),
        ([X, X[:0]], r"calibration\[1\], input 'x0': the array is empty"),
        (X[:, :1], r"shape \[6, 1\] does not fit; expected \[n, 2\]"),
        (X[0], r"shape \[2\] does not fit"),
        (X.astype(np.float64), "dtype float64 is not float32"),
        (np.where(X == 0, np.nan, X), "holds NaN or infinite values"),
        (np.where(X == 0, np.float32(np.inf), X), "holds NaN or infinite values"),
    ],
)
def test_bad_data_are_named(data, message):
    with pytest.raises(CalibrationError, match=message):
        ranges(module((4, 2)), data)


def test_inputs_with_different_numbers_of_samples_are_refused():
    with pytest.raises(CalibrationError, match="input 'x1': 5 samples, but the first input has 6"):
        ranges(module((2, 2), (2, 2)), [(X, X[:5])])


def test_a_value_that_overflows_in_the_network_is_named():
    with pytest.raises(CalibrationError, match=r"'gv', the result of 'exp' \[4, 2\], overflows to"):
        ranges(module((4, 2)), X * 100)


@pytest.mark.parametrize(
    ("function", "advice"),
    [
        (lambda x: torch.log(torch.relu(x)), "scale them"),
        (lambda x: torch.softmax(torch.log(torch.relu(x)) * 2, -1), "hide by a number, such as -1e9"),
    ],
)
def test_only_where_a_softmax_follows_minus_infinity_may_be_a_mask(function, advice):
    class Model(torch.nn.Module):
        def forward(self, x):
            return function(x)

    with pytest.raises(CalibrationError, match=advice):
        ranges(import_model(Model().eval(), (torch.from_numpy(X),)), X)


def test_what_is_no_number_comes_from_infinities_before():
    mod = module((4, 2))
    x = mod["main"].params[0]
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            large = builder.emit(relax.op.exp(builder.emit(relax.op.exp(x))))
            last = builder.emit_output(relax.op.subtract(large, large))
        builder.emit_func_output(last)
    with pytest.raises(CalibrationError, match=r"'subtract' .* holds infinities already"):
        list(calibrate(builder.get(), [last], X))
