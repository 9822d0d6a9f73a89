"""Every torch form gives what TVM gives for the same call."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np
import pytest
import torch
import tvm
from tests.networks import QUICK
from tests.seeds import first_of
from tvm import relax

from tvm_vsq.errors import ModelError
from tvm_vsq.frontend import import_model
from tvm_vsq.graph import bindings, constant
from tvm_vsq.network.rotation import rotate
from tvm_vsq.network.wide_sum import add_rows
from tvm_vsq.torch_graph import TorchGraph
from tvm_vsq.torch_graph.operators import torch_operator
from tvm_vsq.tvm_compat import Call, IRModule

op = relax.op
X, Y = (2, 6, 8, 4), (2, 1, 8, 4)
W = np.random.default_rng(2).standard_normal((10, 3, 2, 4), np.float32)


def function(body: Callable[..., Any], *shapes: tuple[int, ...]) -> relax.Function:
    params = [relax.Var(f"x{i}", relax.TensorType(shape, "float32")) for i, shape in enumerate(shapes)]
    builder = relax.BlockBuilder()
    with builder.function("main", params):
        with builder.dataflow():
            result = builder.emit_output(builder.emit(body(*params)))
        builder.emit_func_output(result)
    return builder.get()["main"]


def inputs(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def results(found: Any) -> list[np.ndarray]:
    return [t.detach().numpy() for t in (found if isinstance(found, tuple) else (found,))]


def check(main: relax.Function, arrays: list[np.ndarray]) -> None:
    found = results(TorchGraph(main)(*map(torch.from_numpy, arrays)))
    machine = relax.VirtualMachine(relax.build(IRModule({"main": main}), QUICK), tvm.cpu())
    expected = machine["main"](*map(tvm.runtime.tensor, arrays))
    expected = [expected] if hasattr(expected, "numpy") else list(expected)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a.dtype, a.shape) == (b.numpy().dtype, tuple(b.shape))
        np.testing.assert_allclose(a, b.numpy(), rtol=2e-5, atol=2e-6)


def conv(x: Any, **attributes: Any) -> Any:
    layouts = {"data_layout": "NHWC", "kernel_layout": "OHWI"}
    return op.nn.conv2d(x, constant(W), **{**layouts, **attributes})


def pool(kind: str, **attributes: Any) -> Callable[[Any], Any]:
    return lambda x: getattr(op.nn, kind)(x, (3, 2), **{"layout": "NHWC", **attributes})


positive = op.abs
_UNARY = ["abs", "ceil", "cos", "erf", "exp", "flatten", "floor", "isfinite", "isinf", "isnan", "negative"]
_UNARY += ["permute_dims", "sigmoid", "sign", "sin", "square", "tanh"]
_UNARY += [f"nn.{name}" for name in ("gelu", "gelu_tanh", "leakyrelu", "relu", "relu6", "silu")]
CALLS: dict[str, Callable[[Any], Any]] = {name: attrgetter(name)(op) for name in _UNARY} | {
    "log": lambda x: op.log(positive(x)),
    "sqrt": lambda x: op.sqrt(positive(x)),
    "rsqrt": lambda x: op.rsqrt(positive(x)),
    "clip": lambda x: op.clip(x, -0.5, 0.25),
    "conv2d": lambda x: conv(x, strides=(2, 1), padding=(1, 0, 1, 0), dilation=(2, 3)),
    "conv2d, padding": lambda x: conv(x, padding=(0, 1, 2, 0)),
    "conv2d, groups": lambda x: op.nn.conv2d(
        x, constant(W[..., :1].repeat(2, 0)), groups=4, data_layout="NHWC", kernel_layout="OHWI"
    ),
    "conv2d, NCHW": lambda x: op.nn.conv2d(x, constant(W.reshape(4, 6, 2, 5)), padding=(1, 1, 1, 1)),
    "conv2d, HWIO": lambda x: op.nn.conv2d(
        x, constant(W.reshape(3, 2, 4, 10)), data_layout="NHWC", kernel_layout="HWIO"
    ),
    "max_pool2d": pool("max_pool2d", strides=(2, 1), padding=(1, 0, 0, 1), dilation=(1, 2)),
    "max_pool2d, ceil": pool("max_pool2d", strides=(2, 2), padding=(1, 1, 1, 1), ceil_mode=True),
    "avg_pool2d": pool("avg_pool2d", strides=(2, 2), padding=(1, 1, 1, 1), count_include_pad=False),
    "avg_pool2d, counted": pool("avg_pool2d", padding=(1, 0, 0, 1), count_include_pad=True),
    "avg_pool2d, uneven": pool("avg_pool2d", padding=(1, 0, 0, 1), count_include_pad=False),
    "avg_pool2d, NCHW": lambda x: op.nn.avg_pool2d(x, (3, 2), (2, 1), (1, 0, 1, 1), ceil_mode=True),
    "avg_pool2d, ceil_mode": pool("avg_pool2d", strides=(2, 2), padding=(1, 0, 0, 1), ceil_mode=True),
    "avg_pool2d, ceil_mode, counted": pool(
        "avg_pool2d", strides=(2, 2), padding=(1, 0, 0, 1), ceil_mode=True, count_include_pad=True
    ),
    "max_pool2d, NCHW, ceil_mode": lambda x: op.nn.max_pool2d(x, (3, 2), (2, 2), ceil_mode=True),
    "adaptive_avg_pool2d": lambda x: op.nn.adaptive_avg_pool2d(x, (4, 3), layout="NHWC"),
    "adaptive_avg_pool2d, NCHW": lambda x: op.nn.adaptive_avg_pool2d(x, (4, 3)),
    "pad": lambda x: op.nn.pad(x, [0, 1, 2, 0, 0, 0, 3, 4], pad_value=2.5),
    "pad, reflect": lambda x: op.nn.pad(x, [0, 0, 2, 1, 0, 0, 1, 1], pad_mode="reflect"),
    "astype": lambda x: op.astype(x, "int8"),
    "astype, bool": lambda x: op.astype(op.greater(x, relax.const(0.0)), "float32"),
    "broadcast_to": lambda x: op.broadcast_to(x, (3, *X)),
    "concat": lambda x: op.concat([x, x], axis=-1),
    "stack": lambda x: op.stack([x, x], axis=1),
    "expand_dims": lambda x: op.expand_dims(x, [0, -1]),
    "squeeze": lambda x: op.squeeze(op.mean(x, axis=[1, 2], keepdims=True)),
    "squeeze, axis": lambda x: op.squeeze(op.mean(x, axis=[1, 2], keepdims=True), [-2]),
    "reshape": lambda x: op.reshape(x, (6, -1)),
    "split": lambda x: op.split(x, 2, axis=2),
    "split, uneven": lambda x: op.split(x, 3, axis=2),
    "split, indices": lambda x: op.split(x, [1, 4], axis=-2),
    "strided_slice": lambda x: op.strided_slice(x, [1, 2], [-4, 1], [100, 7], [1, 3]),
    "strided_slice, backwards": lambda x: op.strided_slice(x, [1], [-1], [-4], [-1]),
    "take": lambda x: op.take(x, relax.const(np.array([[1, 0], [3, 3]])), axis=-1),
    "take, scalar": lambda x: op.take(x, relax.const(2, "int64"), axis=1),
    "where": lambda x: op.where(op.less(x, relax.const(0.0)), relax.const(1.0), x),
    "logical": lambda x: op.logical_or(
        op.logical_not(op.less_equal(x, relax.const(0.0))),
        op.logical_and(op.greater_equal(x, relax.const(-1.0)), op.not_equal(x, relax.const(0.5))),
    ),
    "equal": lambda x: op.equal(x, x),
    "mean": lambda x: op.mean(x, axis=[1, -1]),
    "mean, all": op.mean,
    "sum": lambda x: op.sum(x, axis=2, keepdims=True),
    "max": lambda x: op.max(x, axis=[0, 2]),
    "max, int8": lambda x: op.max(op.astype(x, "int8"), axis=[-1], keepdims=True),
    "min": op.min,
    "variance": lambda x: op.variance(x, axis=[1, 2]),
    "softmax": lambda x: op.nn.softmax(x, axis=1),
    "log_softmax": lambda x: op.nn.log_softmax(x, axis=-1),
    "layer_norm": lambda x: op.nn.layer_norm(x, constant(W[0, 0, 0]), constant(W[1, 0, 0]), [-1], 1e-3),
    "layer_norm, inner axis": lambda x: op.nn.layer_norm(
        x, constant(W[:8, 0, 0, 0]), constant(W[:8, 1, 0, 0]), [2]
    ),
    "rotate": lambda x: rotate(x, x),
    "rotate, heads": lambda x: rotate(x, op.strided_slice(x, axes=[-1], begin=[0], end=[2])),
    "add_rows": lambda x: add_rows(x, x),
    "cumsum": lambda x: op.cumsum(x, axis=1),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_operator_of_one_tensor_gives_what_tvm_gives(name):
    check(function(CALLS[name], X), inputs(X))


@pytest.mark.parametrize(
    "name", ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "greater"]
)
def test_an_operator_of_two_tensors_broadcasts(name):
    def body(x: Any, y: Any) -> Any:
        return getattr(op, name)(op.abs(x) if name == "power" else x, y)

    check(function(body, X, Y), inputs(X, Y))


@pytest.mark.parametrize("name", first_of(["ResNet", "ClippedNet", "DepthwiseNet", "Mlp", "PlainNet"], 2))
def test_a_network_gives_what_it_gave_in_torch(networks, name):
    model, x = networks.build(getattr(networks, name))
    main = import_model(model, x)["main"]
    found = results(TorchGraph(main)(x))
    for a, b in zip(found, networks.run_torch(model, x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert all(torch_operator(b.value, {}) for b in bindings(main) if isinstance(b.value, Call))


def test_an_encoder_layer_gives_what_it_gave_in_torch(networks):
    torch.manual_seed(0)
    model = torch.nn.TransformerEncoderLayer(32, 4, 48, batch_first=True, activation="gelu").eval()
    x = torch.randn(2, 6, 32)
    found = TorchGraph(import_model(model, x)["main"])(x)
    np.testing.assert_allclose(found.numpy(), networks.run_torch(model, x)[0], rtol=1e-4, atol=1e-5)


def test_only_what_the_results_need_is_computed(networks):
    main = import_model(*networks.build(networks.ResNet))["main"]
    steps = list(bindings(main))
    graph = TorchGraph(main, [steps[1].var, main.params[0]])
    x = torch.from_numpy(inputs((2, 3, 12, 12))[0])
    value, again = graph(x)
    assert tuple(value.shape) == tuple(int(n) for n in steps[1].var.ty.shape)
    assert again is x
    assert len(list(graph.buffers())) == 1


def test_gradients_flow_to_the_input(networks):
    model, x = networks.build(networks.ResNet)
    graph = TorchGraph(import_model(model, x)["main"])
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    graph(one).square().sum().backward()
    model(other).square().sum().backward()
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-4)


def test_an_operator_that_runs_through_tvm_refuses_a_backward_pass():
    graph = TorchGraph(function(CALLS["cumsum"], X))
    x = torch.from_numpy(inputs(X)[0]).requires_grad_()
    with pytest.raises(ModelError, match=r"relax.cumsum has no torch form here.*no gradients"):
        graph(x).sum().backward()
