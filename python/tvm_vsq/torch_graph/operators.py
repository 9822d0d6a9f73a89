"""The torch form of each Relax operator that canonical graphs use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tvm_vsq.graph import dtype_of, op_name
from tvm_vsq.network import operator_of
from tvm_vsq.registry import NAMES, aspects
from tvm_vsq.torch_graph import spatial, straight_through
from tvm_vsq.torch_graph.integer_layers import (
    dequantize_operator,
    layer_operator,
    quantize_operator,
)
from tvm_vsq.torch_graph.layer_form import LayerForm
from tvm_vsq.tvm_compat import Call, Var

Operator = Callable[..., Any]
Builder = Callable[[Call], Operator | None]
"""From a call, the function of its arguments; None if torch has none that does the same."""


def torch_operator(
    call: Call, values: Mapping[Var, Any], trains: bool = False
) -> tuple[Operator, list[Any]] | None:
    """What computes `call`, and those of its arguments of which it is a function; None: torch has no such.

    Arguments are tensors, tuples of tensors, shapes as lists, and numbers. values: what the variables of the
    call's function are bound to. trains: with straight-through gradients.
    """
    name = op_name(call).removeprefix("relax.")
    if name in NAMES:
        return layer_operator(call, values)
    if layer := operator_of(call):
        found = aspects("torch", LayerForm)[layer].fp32(call)
        return None if found is None else (found, list(call.args))
    if trains and name in _STRAIGHT_THROUGH:
        return _STRAIGHT_THROUGH[name](call), list(call.args)
    operator = _DIRECT[name] if name in _DIRECT else _BUILDERS.get(name, lambda _call: None)(call)
    return None if operator is None else (operator, list(call.args))


_DIRECT: dict[str, Operator] = {
    "abs": torch.abs,
    "add": torch.add,
    "broadcast_to": lambda x, shape: x.expand(shape),
    "ceil": torch.ceil,
    "clip": lambda x, low, high: x.clamp(max=high).clamp(min=low),  # crossed bounds: TVM gives the lower one
    "cos": torch.cos,
    "equal": torch.eq,
    "erf": torch.erf,
    "exp": torch.exp,
    "flatten": torch.flatten,
    "floor": torch.floor,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "isfinite": torch.isfinite,
    "isinf": torch.isinf,
    "isnan": torch.isnan,
    "less": torch.lt,
    "less_equal": torch.le,
    "log": torch.log,
    "logical_and": torch.logical_and,
    "logical_not": torch.logical_not,
    "logical_or": torch.logical_or,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "multiply": torch.mul,
    "negative": torch.neg,
    "nn.gelu": F.gelu,
    "nn.gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "nn.relu": torch.relu,
    "nn.silu": F.silu,
    "not_equal": torch.ne,
    "power": torch.pow,
    "reshape": torch.reshape,
    "rsqrt": torch.rsqrt,
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "sin": torch.sin,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "subtract": torch.sub,
    "tanh": torch.tanh,
    "where": torch.where,
}


def _axes(call: Call) -> list[int]:
    """The axes a reduction is over; none given means all."""
    axes = call.attrs.axis
    return list(range(len(call.args[0].ty.shape))) if axes is None else [int(axis) for axis in axes]


def _reduction(function: Operator) -> Builder:
    def build(call: Call) -> Operator:
        axes, keeps = _axes(call), bool(call.attrs.keepdims)
        return lambda x: function(x, dim=axes, keepdim=keeps)

    return build


def _variance(call: Call) -> Operator:
    axes, keeps = _axes(call), bool(call.attrs.keepdims)
    return lambda x: torch.var(x, dim=axes, keepdim=keeps, correction=0)


def _astype(call: Call) -> Operator | None:
    dtype = getattr(torch, str(call.attrs.dtype).removeprefix("T."), None)
    return (lambda x: x.to(dtype)) if isinstance(dtype, torch.dtype) else None


def _divide(call: Call) -> Operator | None:
    return torch.div if dtype_of(call.args[0]).startswith("float") else None


def _expand_dims(call: Call) -> Operator:
    rank = len(call.args[0].ty.shape) + len(call.attrs.axis)
    axes = sorted(int(axis) % rank for axis in call.attrs.axis)

    def expand(x: Tensor) -> Tensor:
        for axis in axes:
            x = x.unsqueeze(axis)
        return x

    return expand


def _normalized(call: Call) -> Operator | None:
    rank, attrs = len(call.args[0].ty.shape), call.attrs
    axes = [int(axis) % rank for axis in attrs.axes]
    if axes != list(range(rank - len(axes), rank)):
        return None
    epsilon, center, scale = float(attrs.epsilon), bool(attrs.center), bool(attrs.scale)

    def norm(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        shape = list(x.shape[-len(axes) :])
        return F.layer_norm(x, shape, gamma if scale else None, beta if center else None, epsilon)

    return norm


def _permute_dims(call: Call) -> Operator:
    axes = call.attrs.axes
    rank = len(call.args[0].ty.shape)
    order = list(range(rank))[::-1] if axes is None else [int(axis) for axis in axes]
    return lambda x: x.permute(order)


def _along_axis(function: Operator) -> Builder:
    return lambda call: lambda x, axis=int(call.attrs.axis): function(x, dim=axis)


def _split(call: Call) -> Operator:
    sections, axis = call.attrs.indices_or_sections, int(call.attrs.axis)
    where: Any = [int(n) for n in sections] if hasattr(sections, "__len__") else int(sections)
    return lambda x: torch.tensor_split(x, where, dim=axis)


def _squeeze(call: Call) -> Operator:
    axes = call.attrs.axis
    shape = call.args[0].ty.shape
    dropped = (
        [i for i, extent in enumerate(shape) if int(extent) == 1]
        if axes is None
        else [int(axis) for axis in axes]
    )
    return lambda x: torch.squeeze(x, dropped)


def _strided_slice(call: Call) -> Operator | None:
    numbers = [[int(field.value) for field in argument.fields] for argument in call.args[1:]]
    axes, begins, ends = numbers[:3]
    strides = numbers[3] if len(numbers) > 3 else [1] * len(axes)
    if min(strides, default=1) < 0:
        return None  # torch has no slices that run backwards
    window = [slice(None)] * len(call.args[0].ty.shape)
    for axis, begin, end, stride in zip(axes, begins, ends, strides, strict=True):
        window[axis] = slice(begin, end, stride)
    return lambda x, *_numbers: x[tuple(window)]


def _take(call: Call) -> Operator:
    axis = call.attrs.axis

    def take(x: Tensor, indices: Any) -> Tensor:
        where, at = (x.flatten(), 0) if axis is None else (x, int(axis) % x.ndim)
        chosen = torch.as_tensor(indices)
        shape = [*where.shape[:at], *chosen.shape, *where.shape[at + 1 :]]
        return where.index_select(at, chosen.reshape(-1).long()).reshape(shape)

    return take


_STRAIGHT_THROUGH: dict[str, Callable[[Call], Operator]] = {
    "vsq.dequantize": straight_through.dequantize_operator,
    "vsq.quantize": straight_through.quantize_operator,
}

_BUILDERS: dict[str, Builder] = {
    "astype": _astype,
    "concat": lambda call: lambda xs, axis=int(call.attrs.axis or 0): torch.cat(xs, dim=axis),
    "divide": _divide,
    "expand_dims": _expand_dims,
    "max": _reduction(torch.amax),
    "mean": _reduction(torch.mean),
    "min": _reduction(torch.amin),
    "nn.adaptive_avg_pool2d": spatial.adaptive_average,
    "nn.layer_norm": _normalized,
    "nn.leakyrelu": lambda call: lambda x, slope=float(call.attrs.alpha): F.leaky_relu(x, slope),
    "nn.log_softmax": _along_axis(F.log_softmax),
    "nn.pad": spatial.pad,
    "nn.softmax": _along_axis(F.softmax),
    "permute_dims": _permute_dims,
    "split": _split,
    "squeeze": _squeeze,
    "stack": lambda call: lambda xs, axis=int(call.attrs.axis or 0): torch.stack(xs, dim=axis),
    "strided_slice": _strided_slice,
    "sum": _reduction(torch.sum),
    "take": _take,
    "variance": _variance,
    "vsq.dequantize": dequantize_operator,
    "vsq.quantize": quantize_operator,
}
