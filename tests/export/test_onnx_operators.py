"""Every operator that the ONNX export writes computes in onnxruntime what TVM computes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from tvm import relax

import tvm_vsq
from tvm_vsq import relax_ops as vsq
from tvm_vsq.errors import ModelError
from tvm_vsq.export.onnx_operators import WRITERS
from tvm_vsq.formats import VectorFormat
from tvm_vsq.graph import constant
from tvm_vsq.network.rotation import rotate
from tvm_vsq.network.source import Source
from tvm_vsq.network.wide_sum import add_rows
from tvm_vsq.numerics import quantize_weights
from tvm_vsq.registry import aspects
from tvm_vsq.tvm_compat import Call, IRModule

op, nn = relax.op, relax.op.nn
RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


INPUTS: dict[str, np.ndarray] = {
    "x": 3 * normal(2, 3, 4),
    "y": 3 * normal(2, 3, 4),
    "row": normal(4),
    "column": normal(3, 1),
    "halves": RNG.integers(-5, 6, (2, 3, 4)).astype(np.float32) / 2,  # equal ones, zeros, ties
    "positive": RNG.uniform(0.1, 4, (2, 3, 4)).astype(np.float32),
    "strange": np.array([[np.nan, np.inf, -np.inf, 0, -0.0, 1.5]], np.float32),
    "yes": RNG.integers(0, 2, (2, 3, 4)).astype(bool),
    "no": RNG.integers(0, 2, (3, 1)).astype(bool),
    "n": RNG.integers(-9, 10, (2, 3, 4)).astype(np.int32),
    "m": RNG.choice([-3, -2, 2, 3], (2, 3, 4)).astype(np.int32),
    "places": np.array([[2, 0], [1, 2]], np.int64),
    "far": np.array([-4, -3, -1, 0, 2, 3, 7], np.int32),
    "units": normal(1, 3, 1, 4, 1),
    "weights": normal(4, 5),
    "image": normal(2, 4, 7, 6),
    "depth": normal(2, 7, 6, 4),
    "hwio": normal(3, 2, 2, 6),
    "scale": normal(4),
    "shift": normal(4),
    "plane": normal(3, 4),
    "units_of_pixels": normal(1, 7, 1, 4),
    "halves_of_rows": normal(2, 1, 2),
}

# Padding is top, left, bottom, right: all four differ where that is possible.
WINDOWS: dict[str, dict[str, Any]] = {
    "plain": {"pool_size": (2, 3)},
    "strides": {"pool_size": (3, 2), "strides": (2, 1)},
    "padding": {"pool_size": (4, 5), "strides": (1, 2), "padding": (0, 1, 2, 3)},
    "dilation": {"pool_size": (3, 2), "dilation": (2, 3)},
    "ceil": {"pool_size": (2, 3), "strides": (2, 2), "ceil_mode": True},
    "ceil, padding": {"pool_size": (3, 3), "strides": (3, 2), "padding": (1, 0, 1, 1), "ceil_mode": True},
    "floor": {"pool_size": (2, 3), "strides": (2, 2), "ceil_mode": False},
    "channels last": {"pool_size": (3, 2), "strides": (1, 2), "padding": (0, 1, 2, 1), "layout": "NHWC"},
}
COUNTED = {
    f"{name}, padding counts": window | {"count_include_pad": True}
    for name, window in WINDOWS.items()
    if name not in ("plain", "strides", "dilation")
}


def pools(pool: Callable[..., Any], windows: dict[str, dict[str, Any]]) -> dict[str, Callable[[Any], Any]]:
    def case(window: dict[str, Any]) -> Callable[[Any], Any]:
        return lambda v: pool(v.depth if "layout" in window else v.image, **window)

    return {name: case(window) for name, window in windows.items()}


def unary(function: Callable[[Any], Any], *names: str) -> dict[str, Callable[[Any], Any]]:
    return {name: lambda v, name=name: function(getattr(v, name)) for name in names or ("x",)}


def binary(function: Callable[[Any, Any], Any], *pairs: tuple[str, str]) -> dict[str, Callable[[Any], Any]]:
    pairs = (("x", "y"), ("x", "row"), ("column", "x"), *pairs)
    return {f"{a}, {b}": lambda v, a=a, b=b: function(getattr(v, a), getattr(v, b)) for a, b in pairs}


def reductions(function: Callable[..., Any]) -> dict[str, Callable[[Any], Any]]:
    return {
        "all axes": lambda v: function(v.x),
        "all axes, kept": lambda v: function(v.x, keepdims=True),
        "last axis": lambda v: function(v.x, -1),
        "two axes, kept": lambda v: function(v.x, [0, 2], keepdims=True),
    }


CASES: dict[str, dict[str, Callable[[Any], Any]]] = {
    "abs": unary(op.abs, "x", "n"),
    "add": binary(op.add, ("n", "m")),
    "astype": {
        f"{name} to {dtype}": lambda v, name=name, dtype=dtype: op.astype(getattr(v, name), dtype)
        for name, dtype in [
            ("x", "int32"),
            ("x", "int64"),
            ("x", "float16"),
            ("x", "float64"),
            ("n", "float32"),
            ("yes", "float32"),
            ("n", "bool"),
            ("halves", "bool"),
            ("positive", "uint8"),
        ]
    },
    "broadcast_to": {
        "row": lambda v: op.broadcast_to(v.row, (3, 4)),
        "column": lambda v: op.broadcast_to(v.column, (2, 3, 4)),
    },
    "ceil": unary(op.ceil, "x", "halves"),
    "clip": {
        "both": lambda v: op.clip(v.x, -1.5, 2),
        "from 0": lambda v: op.clip(v.x, 0, 6),
        "integers": lambda v: op.clip(v.n, -3, 5),
    },
    "concat": {
        "first": lambda v: op.concat([v.x, v.y], 0),
        "middle": lambda v: op.concat([v.x, v.y, v.x], 1),
        "last": lambda v: op.concat([v.y, v.x], -1),
    },
    "cos": unary(op.cos),
    "divide": binary(op.divide, ("strange", "strange"), ("n", "m")),
    "equal": binary(op.equal, ("halves", "halves"), ("strange", "strange")),
    "erf": unary(op.erf),
    "exp": unary(op.exp),
    "expand_dims": {
        "first": lambda v: op.expand_dims(v.x, 0),
        "several": lambda v: op.expand_dims(v.x, [1, -1]),
    },
    "flatten": unary(op.flatten),
    "floor": unary(op.floor, "x", "halves"),
    "greater": binary(op.greater, ("halves", "row"), ("n", "m")),
    "greater_equal": binary(op.greater_equal, ("n", "m"), ("strange", "strange")),
    "isinf": unary(op.isinf, "strange"),
    "isnan": unary(op.isnan, "strange"),
    "less": binary(op.less, ("n", "m")),
    "less_equal": binary(op.less_equal, ("n", "m"), ("strange", "strange")),
    "log": unary(op.log, "positive"),
    "logical_and": {"broadcast": lambda v: op.logical_and(v.yes, v.no)},
    "logical_not": unary(op.logical_not, "yes"),
    "logical_or": {"broadcast": lambda v: op.logical_or(v.yes, v.no)},
    "matmul": {
        "matrix": lambda v: op.matmul(v.plane, v.weights),
        "batch": lambda v: op.matmul(v.x, v.weights),
        "vector": lambda v: op.matmul(v.x, v.row),
    },
    "max": reductions(op.max),
    "maximum": binary(op.maximum, ("n", "m")),
    "mean": reductions(op.mean),
    "min": reductions(op.min),
    "minimum": binary(op.minimum, ("n", "m")),
    "multiply": binary(op.multiply, ("n", "m")),
    "negative": unary(op.negative, "x", "n"),
    "nn.adaptive_avg_pool2d": {
        "channels first": lambda v: nn.adaptive_avg_pool2d(v.image, (1, 1)),
        "channels last": lambda v: nn.adaptive_avg_pool2d(v.depth, (1, 1), layout="NHWC"),
    },
    "nn.avg_pool2d": pools(nn.avg_pool2d, WINDOWS | COUNTED),
    "nn.gelu": unary(nn.gelu),
    "nn.gelu_tanh": unary(nn.gelu_tanh),
    "nn.layer_norm": {
        "last axis": lambda v: nn.layer_norm(v.x, v.scale, v.shift, [-1]),
        "epsilon": lambda v: nn.layer_norm(v.x, v.scale, v.shift, [2], epsilon=0.5),
        "two axes": lambda v: nn.layer_norm(v.x, v.plane, v.plane, [1, 2]),
    },
    "nn.rms_norm": {
        "last axis": lambda v: nn.rms_norm(v.x, v.scale, [-1]),
        "epsilon": lambda v: nn.rms_norm(v.x, v.scale, [2], epsilon=0.5),
    },
    "nn.leakyrelu": {
        "default": lambda v: nn.leakyrelu(v.x),
        "alpha": lambda v: nn.leakyrelu(v.x, 0.3),
    },
    "nn.log_softmax": {
        "last axis": lambda v: nn.log_softmax(v.x),
        "middle axis": lambda v: nn.log_softmax(v.x, 1),
    },
    "nn.max_pool2d": pools(nn.max_pool2d, WINDOWS),
    "nn.pad": {
        "each side": lambda v: nn.pad(v.x, (1, 0, 2, 3, 0, 1)),
        "value": lambda v: nn.pad(v.plane, (0, 1, 2, 0), pad_value=-1.5),
        "integers": lambda v: nn.pad(v.n, (1, 0, 2, 3, 0, 1), pad_value=7),
    },
    "nn.relu": unary(nn.relu, "x", "n"),
    "nn.silu": unary(nn.silu),
    "nn.softmax": {
        "last axis": lambda v: nn.softmax(v.x),
        "first axis": lambda v: nn.softmax(v.x, 0),
    },
    "permute_dims": {
        "axes": lambda v: op.permute_dims(v.x, [2, 0, 1]),
        "negative axes": lambda v: op.permute_dims(v.x, [-1, 0, -2]),
        "reversed": lambda v: op.permute_dims(v.x),
    },
    "power": {
        "exponents": lambda v: op.power(v.positive, v.row),
        "square": lambda v: op.power(v.x, relax.const(2.0)),
    },
    "reshape": {
        "shape": lambda v: op.reshape(v.x, (4, 6)),
        "rest": lambda v: op.reshape(v.x, (3, -1, 2)),
    },
    "rsqrt": unary(op.rsqrt, "positive"),
    "sigmoid": unary(op.sigmoid),
    "sign": unary(op.sign, "halves", "n"),
    "sin": unary(op.sin),
    "split": {
        "sections": lambda v: op.split(v.x, 2, -1)[1],
        "first section": lambda v: op.split(v.x, 3, 1)[0],
        "indices": lambda v: op.split(v.image, [1, 4], 2)[1],
        "after the last index": lambda v: op.split(v.image, [1, 4], 2)[2],
    },
    "sqrt": unary(op.sqrt, "positive"),
    "square": unary(op.square),
    "squeeze": {
        "all": lambda v: op.squeeze(v.units),
        "one": lambda v: op.squeeze(v.units, 2),
        "two": lambda v: op.squeeze(v.units, [0, -1]),
    },
    "strided_slice": {
        "one axis": lambda v: op.strided_slice(v.image, [2], [1], [5]),
        "steps": lambda v: op.strided_slice(v.image, [3, 1], [1, 0], [6, 3], [2, 2]),
        "from the end": lambda v: op.strided_slice(v.image, [-1], [-4], [-1]),
        "beyond the end": lambda v: op.strided_slice(v.image, [2], [3], [2**31 - 1]),
        "backwards": lambda v: op.strided_slice(v.image, [2], [5], [1], [-2]),
        "backwards to the start": lambda v: op.strided_slice(v.image, [2], [6], [-8], [-1]),
    },
    "subtract": binary(op.subtract, ("n", "m")),
    "sum": reductions(op.sum),
    "take": {
        "axis": lambda v: op.take(v.x, v.places, 1),
        "last axis": lambda v: op.take(v.x, v.places, -1),
        "of a vector": lambda v: op.take(v.row, v.places),
        # of indices that are computed: those that are an input are refused where they come in
        "clipped": lambda v: op.take(v.x, op.negative(op.negative(v.far)), 1, "clip"),
        "wrapped": lambda v: op.take(v.x, v.far, 1, "wrap"),
    },
    "tanh": unary(op.tanh),
    "where": {
        "tensors": lambda v: op.where(v.yes, v.x, v.y),
        "broadcast": lambda v: op.where(v.no, v.x, v.row),
    },
}
KERNEL = normal(6, 2, 3, 2)
"""Of two groups of two channels, OIHW."""


def convolution(kernel: Any, layout: str = "OIHW", **attributes: Any) -> Callable[[Any], Any]:
    data = "NHWC" if layout != "OIHW" else "NCHW"
    return lambda v: nn.conv2d(
        v.depth if data == "NHWC" else v.image,
        getattr(v, kernel) if isinstance(kernel, str) else constant(kernel),
        data_layout=data,
        kernel_layout=layout,
        groups=2,
        **attributes,
    )


CASES["nn.conv2d"] = {
    "channels first": convolution(KERNEL, strides=(2, 1)),
    "channels last": convolution(
        KERNEL.transpose(0, 2, 3, 1), "OHWI", strides=(1, 2), padding=(0, 1, 2, 3), dilation=(2, 3)
    ),
    "kernel computed": convolution("hwio", "HWIO", padding=(1, 0, 2, 1)),
}
OWN = {
    "fp32.add_rows": {"two tensors": lambda v: add_rows(v.x, v.y)},
    "fp32.rotate": {
        "one head": lambda v: rotate(v.depth, v.units_of_pixels),
        "two heads": lambda v: rotate(v.x, v.halves_of_rows),
    },
}
"""Of operators that Relax has not."""

NAMES = [(name, case) for name, cases in (CASES | OWN).items() for case in cases]


def quantized_layer(builder: relax.BlockBuilder, x: Any) -> Any:
    """A dense layer of 8 outputs on x [..., 4], as `quantize_model` makes it."""
    weights, gamma = quantize_weights(normal(8, 4), VectorFormat(8, None, 8))
    kind: dict[str, Any] = {"bits": 8, "scale_bits": 0, "vector_size": 8, "signed": 1, "guard_bits": 2}
    vectors = builder.emit(vsq.quantize(x, inv=400.0, **kind))
    restored = builder.emit(vsq.dequantize(vectors, constant(np.array(0.01, np.float32)), channels=4))
    matrix = vsq.dequantize(constant(weights), constant(gamma), channels=4)
    widths = {"weight_bits": 8, "weight_scale_bits": 0}
    matrix = builder.emit(Call(matrix.op, matrix.args, {**dict(matrix.attrs), **widths}))
    return builder.emit(op.matmul(restored, builder.emit(op.permute_dims(matrix))))


def exportable(cases: list[Callable[[Any], Any]]) -> IRModule:
    """A quantized layer, without which nothing is exported, then every case as a result of its own."""
    params = {name: relax.Var(name, relax.TensorType(a.shape, str(a.dtype))) for name, a in INPUTS.items()}
    builder = relax.BlockBuilder()
    with builder.function("main", list(params.values())):
        with builder.dataflow():
            results = [quantized_layer(builder, params["plane"])]
            results += [builder.emit(case(SimpleNamespace(**params))) for case in cases]
            output = builder.emit_output(relax.Tuple(results))
        builder.emit_func_output(output)
    return builder.get()


@pytest.fixture(scope="module")
def results(networks: Any) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """By operator and case: what TVM and what onnxruntime computes, all in one build and one session."""
    everything = exportable([(CASES | OWN)[name][case] for name, case in NAMES])
    expected = networks.run_tvm(everything, *INPUTS.values())
    model = tvm_vsq.export_onnx(everything).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    values = session.run(None, INPUTS)
    return dict(zip([("", ""), *NAMES], zip(expected, values, strict=True), strict=True))


@pytest.mark.parametrize(("name", "case"), NAMES)
def test_the_onnx_form_computes_what_tvm_computes(results, name, case):
    expected, value = results[name, case]
    assert (value.dtype, value.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


def test_every_writer_is_run():
    assert {*(f"relax.{name}" for name in CASES), *OWN} == {
        *WRITERS,
        *(source.relax for source in aspects("source", Source).values()),
    }


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (lambda v: nn.adaptive_avg_pool2d(v.image, (2, 3)), r"adaptive pooling '.+' to \[2, 4, 2, 3\]"),
        (lambda v: nn.pad(v.plane, (0, 1, 1, 0), "reflect"), "pad '.+' with mode reflect"),
        (lambda v: nn.layer_norm(v.image, v.scale, v.shift, [1]), r"layer norm '.+' over axes \[1\] of 4"),
        (lambda v: nn.layer_norm(v.x, v.scale, v.shift, [2], center=False), "layer norm '.+'"),
        (lambda v: op.take(v.x, v.places, 1, "nan"), "take '.+' with mode nan"),
        (lambda v: nn.max_pool2d(v.image, out_layout="NHWC"), "'.+' from NCHW to NHWC"),
        (lambda v: nn.conv2d(v.image, constant(KERNEL), groups=2, out_layout="NHWC"), "from NCHW to NHWC"),
        (lambda v: nn.max_pool2d(v.image, layout="NWHC"), "layout NWHC has no ONNX form"),
    ],
)
def test_what_has_no_onnx_form_is_refused_by_name(case, message):
    with pytest.raises(ModelError, match=message):
        tvm_vsq.export_onnx(exportable([case]))
