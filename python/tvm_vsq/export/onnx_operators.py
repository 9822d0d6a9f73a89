"""How each Relax operator of the canonical form is written in ONNX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm_vsq.errors import ModelError
from tvm_vsq.export.onnx_writer import Writer, element_type
from tvm_vsq.graph import dtype_of, op_name, static_shape
from tvm_vsq.network import operator_of
from tvm_vsq.registry import aspects
from tvm_vsq.tvm_compat import Var

Operands = list[Any]
"""Names of tensors; a list of names where Relax has a tuple; other arguments are None."""


@dataclass(frozen=True)
class LayerWriter:
    """How a layer of the fp32 graph is written: the aspect `onnx` of `registry`.

    write: from the writer, the variable, its call, and operands. kernel_axes: from a call, the order in which
    ONNX has the axes of its weights; None if it is the graph's own.
    """

    write: Callable[..., str]
    kernel_axes: Callable[[Any], list[int]] | None = None


def layer_writers() -> dict[str, LayerWriter]:
    """By operator."""
    return aspects("onnx", LayerWriter)


_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


def write_operator(writer: Writer, var: Var, call: Any, operands: Operands) -> Any:
    """Append what `call`, bound to `var`, computes; its name, or the names of a tuple's fields.

    Raises ModelError naming an operator, or an attribute of it, that has no form here.
    """
    name, operator = op_name(call), operator_of(call)
    write = layer_writers()[operator].write if operator else WRITERS.get(name)
    if write is None:
        raise ModelError(f"operator {name or type(call).__name__} ('{var.name}') has no ONNX form here yet")
    return write(writer, var, call, operands)


def in_nchw(writer: Writer, x: str, layout: str, write: Callable[[str], str]) -> str:
    """`write` applied to x in NCHW, back in `layout`."""
    if layout == "NCHW":
        return write(x)
    if layout != "NHWC":
        raise ModelError(f"layout {layout} has no ONNX form here; use NCHW or NHWC")
    return writer.node("Transpose", write(writer.node("Transpose", x, perm=_TO_NCHW)), perm=_TO_NHWC)


def plain(kind: str, **attributes: Any) -> Any:
    """A writer of one node with the operands as they are."""

    def write(writer: Writer, var: Var, _call: Any, operands: Operands) -> str:
        return writer.node(kind, *operands, hint=var.name, **attributes)

    return write


def _clip(writer: Writer, var: Var, call: Any, operands: Operands) -> str:
    low, high = (writer.scalar(call.args[i].value, dtype_of(var)) for i in (1, 2))
    return writer.node("Clip", operands[0], low, high, hint=var.name)


def _silu(writer: Writer, var: Var, _call: Any, operands: Operands) -> str:
    return writer.node("Mul", operands[0], writer.node("Sigmoid", operands[0]), hint=var.name)


def _rsqrt(writer: Writer, var: Var, _call: Any, operands: Operands) -> str:
    return writer.node("Reciprocal", writer.node("Sqrt", operands[0]), hint=var.name)


def _reshape(writer: Writer, var: Var, _call: Any, operands: Operands) -> str:
    return writer.node("Reshape", operands[0], writer.integers(static_shape(var)), hint=var.name)


def _expand(writer: Writer, var: Var, _call: Any, operands: Operands) -> str:
    return writer.node("Expand", operands[0], writer.integers(static_shape(var)), hint=var.name)


def _transpose(writer: Writer, var: Var, call: Any, operands: Operands) -> str:
    rank = len(call.args[0].ty.shape)
    axes = range(rank)[::-1] if call.attrs.axes is None else call.attrs.axes
    return writer.node("Transpose", operands[0], hint=var.name, perm=[int(axis) % rank for axis in axes])


def _reduce(kind: str) -> Any:
    def write(writer: Writer, var: Var, call: Any, operands: Operands) -> str:
        axes = call.attrs.axis
        extra = [] if axes is None else [writer.integers(int(axis) for axis in axes)]
        keep = int(bool(call.attrs.keepdims))
        return writer.node(kind, operands[0], *extra, hint=var.name, keepdims=keep)

    return write


def _along_axis(kind: str) -> Any:
    def write(writer: Writer, var: Var, call: Any, operands: Operands) -> str:
        return writer.node(kind, operands[0], hint=var.name, axis=int(call.attrs.axis))

    return write


def _normalized(writer: Writer, var: Var, call: Any, operands: Operands) -> str:
    rank, attrs = len(call.args[0].ty.shape), call.attrs
    axes = sorted(int(axis) % rank for axis in attrs.axes)
    if axes != list(range(axes[0], rank)) or not (bool(attrs.center) and bool(attrs.scale)):
        raise ModelError(f"layer norm '{var.name}' over axes {axes} of {rank} has no ONNX form here")
    epsilon = float(attrs.epsilon)
    return writer.node("LayerNormalization", *operands, hint=var.name, axis=axes[0], epsilon=epsilon)


def _concat(writer: Writer, var: Var, call: Any, operands: Operands) -> str:
    return writer.node("Concat", *operands[0], hint=var.name, axis=int(call.attrs.axis))


def _split(writer: Writer, var: Var, call: Any, operands: Operands) -> list[str]:
    axis = int(call.attrs.axis)
    extents = [int(field.shape[axis]) for field in var.ty.fields]
    sizes = writer.integers(extents)
    return writer.nodes_with("Split", len(extents), operands[0], sizes, hint=var.name, axis=axis)


def _slice(writer: Writer, var: Var, call: Any, operands: Operands) -> str:
    axes, begin, end, *strides = ([int(n.value) for n in arg.fields] for arg in call.args[1:])
    steps = strides[0] if strides else [1] * len(axes)
    inputs = [writer.integers(values) for values in (begin, end, axes, steps)]
    return writer.node("Slice", operands[0], *inputs, hint=var.name)


def _gather(writer: Writer, var: Var, call: Any, operands: Operands) -> str:
    x, places = operands[:2]
    axis, mode = 0 if call.attrs.axis is None else int(call.attrs.axis), str(call.attrs.mode)
    extent, dtype = static_shape(call.args[0])[axis], dtype_of(call.args[1])
    if mode == "clip":
        places = writer.node("Clip", places, writer.scalar(0, dtype), writer.scalar(extent - 1, dtype))
    elif mode == "wrap":
        places = writer.node("Mod", places, writer.scalar(extent, dtype))
    elif mode != "fast":
        raise ModelError(f"take '{var.name}' with mode {mode} has no ONNX form here; use clip or wrap")
    return writer.node("Gather", x, places, hint=var.name, axis=axis)


def _cast(writer: Writer, var: Var, _call: Any, operands: Operands) -> str:
    return writer.node("Cast", operands[0], hint=var.name, to=element_type(dtype_of(var)))


def pool(kind: str) -> Any:
    """A writer of one node with the window of the call."""

    def write(writer: Writer, var: Var, call: Any, operands: Operands) -> str:
        attrs = call.attrs
        window = {
            "kernel_shape": [int(n) for n in attrs.pool_size],
            "strides": [int(n) for n in attrs.strides],
            "pads": [int(n) for n in attrs.padding],
            "dilations": [int(n) for n in attrs.dilation],
            "ceil_mode": int(bool(attrs.ceil_mode)),
        }
        if kind == "AveragePool":
            window["count_include_pad"] = int(bool(attrs.count_include_pad))
        layout = kept_layout(var, attrs.layout, attrs.out_layout)
        return in_nchw(writer, operands[0], layout, lambda x: writer.node(kind, x, hint=var.name, **window))

    return write


def _global_pool(writer: Writer, var: Var, call: Any, operands: Operands) -> str:
    layout, shape = kept_layout(var, call.attrs.layout, call.attrs.out_layout), static_shape(var)
    axes = [layout.index("H"), layout.index("W")]
    if any(shape[axis] != 1 for axis in axes):
        raise ModelError(f"adaptive pooling '{var.name}' to {list(shape)} has no ONNX form; pool to 1 x 1")
    return writer.node("ReduceMean", operands[0], writer.integers(axes), hint=var.name, keepdims=1)


def _pad(writer: Writer, var: Var, call: Any, operands: Operands) -> str:
    if str(call.attrs.pad_mode) != "constant":
        raise ModelError(f"pad '{var.name}' with mode {call.attrs.pad_mode} has no ONNX form here; use zeros")
    widths = [int(n) for n in call.attrs.pad_width]
    pads = writer.integers(widths[::2] + widths[1::2])
    value = writer.scalar(float(call.attrs.pad_value), dtype_of(var))
    return writer.node("Pad", operands[0], pads, value, hint=var.name)


def _leaky_relu(writer: Writer, var: Var, call: Any, operands: Operands) -> str:
    return writer.node("LeakyRelu", operands[0], hint=var.name, alpha=float(call.attrs.alpha))


def _square(writer: Writer, var: Var, _call: Any, operands: Operands) -> str:
    return writer.node("Mul", operands[0], operands[0], hint=var.name)


def kept_layout(var: Var, layout: Any, out_layout: Any) -> str:
    """The layout of an operator's input and result. Raises ModelError if they differ."""
    if str(layout) != str(out_layout):
        raise ModelError(f"'{var.name}' from {layout} to {out_layout} has no ONNX form here; keep the layout")
    return str(layout)


WRITERS: dict[str, Any] = {
    "relax." + name: write
    for name, write in {
        "abs": plain("Abs"),
        "add": plain("Add"),
        "astype": _cast,
        "broadcast_to": _expand,
        "ceil": plain("Ceil"),
        "clip": _clip,
        "concat": _concat,
        "cos": plain("Cos"),
        "divide": plain("Div"),
        "equal": plain("Equal"),
        "erf": plain("Erf"),
        "exp": plain("Exp"),
        "expand_dims": _reshape,
        "flatten": _reshape,
        "floor": plain("Floor"),
        "greater": plain("Greater"),
        "greater_equal": plain("GreaterOrEqual"),
        "isinf": plain("IsInf"),
        "isnan": plain("IsNaN"),
        "less": plain("Less"),
        "less_equal": plain("LessOrEqual"),
        "log": plain("Log"),
        "logical_and": plain("And"),
        "logical_not": plain("Not"),
        "logical_or": plain("Or"),
        "max": _reduce("ReduceMax"),
        "maximum": plain("Max"),
        "mean": _reduce("ReduceMean"),
        "min": _reduce("ReduceMin"),
        "minimum": plain("Min"),
        "multiply": plain("Mul"),
        "negative": plain("Neg"),
        "nn.adaptive_avg_pool2d": _global_pool,
        "nn.gelu": plain("Gelu"),
        "nn.gelu_tanh": plain("Gelu", approximate="tanh"),
        "nn.layer_norm": _normalized,
        "nn.leakyrelu": _leaky_relu,
        "nn.log_softmax": _along_axis("LogSoftmax"),
        "nn.pad": _pad,
        "nn.relu": plain("Relu"),
        "nn.silu": _silu,
        "nn.softmax": _along_axis("Softmax"),
        "permute_dims": _transpose,
        "power": plain("Pow"),
        "reshape": _reshape,
        "rsqrt": _rsqrt,
        "sigmoid": plain("Sigmoid"),
        "sign": plain("Sign"),
        "sin": plain("Sin"),
        "split": _split,
        "sqrt": plain("Sqrt"),
        "square": _square,
        "squeeze": _reshape,
        "strided_slice": _slice,
        "subtract": plain("Sub"),
        "sum": _reduce("ReduceSum"),
        "take": _gather,
        "tanh": plain("Tanh"),
        "where": plain("Where"),
    }.items()
}
"""Every operator that has an ONNX form here, but those of layers."""
