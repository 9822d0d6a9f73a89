"""A wrong argument or attribute is an OperatorError that names the layer, the argument and the remedy."""

from __future__ import annotations

import numpy as np
import pytest

from tvm_vsq import relax_ops as vsq
from tvm_vsq.errors import VsqError
from tvm_vsq.ops.conv2d import relax as conv2d_operator
from tvm_vsq.ops.dense import relax as dense_operator

X = np.zeros((1, 5, 5, 2, 17), np.int16)
W = np.zeros((20, 3, 3, 2, 17), np.int16)
PARAMS = np.zeros((20, 4), np.int32)
RESIDUAL = np.zeros((1, 3, 3, 2, 17), np.int16)
QUANTIZE = {"bits": 4, "scale_bits": 4, "vector_size": 16, "signed": 1, "guard_bits": 0, "inv": 1.0}


def conv(*tensors, **attributes):  # type: ignore[no-untyped-def]
    return conv2d_operator.conv2d(*tensors, **{"layer": "conv7", "out_bits": 4, **attributes})


def dense(*tensors, **attributes):  # type: ignore[no-untyped-def]
    return dense_operator.dense(*tensors, **{"layer": "fc", "out_bits": 4, **attributes})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            (X.astype(np.float32), W, PARAMS),
            r"conv7.*x must be int16\[N, H, W, CV, V\+1\].*insert vsq.quantize",
        ),
        ((X[0], W, PARAMS), r"conv7.*x must be int16\[N, H, W, CV, V\+1\], got 4 axes"),
        ((X[..., :16], W, PARAMS), r"conv7.*x's last axis is 16"),
        ((X, W[..., :1, :], PARAMS), r"conv7.*x has 2 vectors of 16, w has 1 vectors of 16"),
        ((X, np.zeros((20, 3, 3, 2, 9), np.int16), PARAMS), r"conv7.*w has 2 vectors of 8"),
        ((X, W, PARAMS[:19]), r"conv7.*params must be int32\[20, 4\].*got \[19, 4\]"),
        ((X, W, PARAMS.astype(np.int64)), r"conv7.*params must be int32"),
        ((X[:, :2], W, PARAMS), r"conv7.*kernel's height 3 exceeds the padded input's 2"),
        (
            (X, W, PARAMS, RESIDUAL[..., :1, :]),
            r"conv7.*residual must have the result's shape \[1, 3, 3, 2, 17\]",
        ),
        ((X, W, PARAMS, RESIDUAL[0]), r"conv7.*residual must be int16"),
    ],
)
def test_conv2d_refuses_wrong_tensors(module, arrays, message):
    with pytest.raises(vsq.OperatorError, match=message):
        module(conv, *arrays)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((X, W, PARAMS), r"fc.*w must be int16\[K, CV, V\+1\], got 5 axes"),
        ((X[..., :1, :], W[:, 0, 0], PARAMS), r"fc.*x has 1 vectors of 16, w has 2"),
        ((X, W[:, 0, 0], PARAMS[:, :3]), r"fc.*params must be int32\[20, 4\]"),
        ((X, W[:, 0, 0], PARAMS, X[..., :1, :]), r"fc.*residual must have the result's shape"),
    ],
)
def test_dense_refuses_wrong_tensors(module, arrays, message):
    with pytest.raises(vsq.OperatorError, match=message):
        module(dense, *arrays)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"strides": (0, 1)}, r"conv7.*strides\[0\]=0 is outside 1\.\."),
        ({"padding": (1, 1)}, r"conv7.*padding needs 4 integers, got 2"),
        ({"padding": (0, 0, -1, 0)}, r"conv7.*padding\[2\]=-1"),
        ({"dilation": (1, 1.5)}, r"conv7.*dilation\[1\] must be an integer, got 1.5"),
        ({"out_bits": 9}, r"conv7.*out_bits=9 is outside"),
        ({"out_bits": 0}, r"conv7.*requantized output needs out_bits"),
        ({"res_shift": 63}, r"conv7.*res_shift=63 is outside 0\.\.62"),
        ({"guard_bit": 2}, r"conv7.*unknown attribute 'guard_bit'; known are .*guard_bits"),
    ],
)
def test_attributes_are_checked_when_the_call_is_made(module, attributes, message):
    with pytest.raises(vsq.OperatorError, match=message):
        module(lambda *tensors: conv(*tensors, **attributes), X, W, PARAMS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 1}, "bits=1 is outside 2..8"),
        ({"scale_bits": 11}, "scale_bits=11 is outside 0..10"),
        ({"vector_size": 24}, "vector_size=24 is not one of"),
        ({"inv": 0.0}, "inv=0.0 must be positive and finite"),
        ({"inv": float("nan")}, "inv=nan"),
        ({"inv": float("inf")}, "inv=inf"),
    ],
)
def test_quantize_refuses_wrong_attributes(module, change, message):
    with pytest.raises(vsq.OperatorError, match=message):
        module(lambda x: vsq.quantize(x, **{**QUANTIZE, **change}), np.zeros((2, 8), np.float32))


def test_quantize_refuses_other_dtypes(module):
    with pytest.raises(vsq.OperatorError, match=r"x must be float32\[\.\.\., C\]"):
        module(lambda x: vsq.quantize(x, **QUANTIZE), np.zeros((2, 8), np.int32))


@pytest.mark.parametrize(
    ("gamma", "channels", "message"),
    [
        (np.zeros((), np.float32), 33, "channels=33 needs 3 vectors of 16, v has 2"),
        (np.zeros((), np.float32), 16, "channels=16 needs 1 vectors"),
        (np.zeros(3, np.float32), 20, r"gamma\[3\] belongs to v's first axis"),
        (np.zeros((1, 1), np.float32), 20, r"gamma must be float32\[\] or \[K\]"),
        (np.zeros(1, np.float16), 20, "gamma must be float32"),
    ],
)
def test_dequantize_refuses_what_does_not_fit(module, gamma, channels, message):
    with pytest.raises(vsq.OperatorError, match=message):
        module(lambda v, g: vsq.dequantize(v, g, channels=channels), X, gamma)


def test_an_operator_error_is_a_vsq_error():
    assert issubclass(vsq.OperatorError, VsqError)
