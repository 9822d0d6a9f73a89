"""Operators of torch that are rewritten before TVM's importer sees them, as torch's own decompositions.

TVM drops or misreads these; what torch decomposes them into, it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from tvm_vsq.frontend.adaptive import adaptive_windows
from tvm_vsq.frontend.torch_attention import attention

aten = torch.ops.aten


def decomposed(program: ExportedProgram) -> ExportedProgram:
    """`program` in the operators that TVM's importer takes; no operator of it writes in place."""
    table: Any = torch.export.default_decompositions()
    table.update(_OURS)
    return program.run_decompositions(table)  # type: ignore[no-any-return]


# A decomposition that returns NotImplemented leaves the operator as it is.


def _promoted(x: Tensor, y: Any) -> Tensor:
    """`x` in the type in which torch computes with `y`; TVM computes with a number in the tensor's."""
    return x if isinstance(y, Tensor) else x.to(torch.result_type(x, y))


def _with_number(function: Callable[..., Tensor]) -> Callable[..., Any]:
    """`function` of a tensor and a number, of truth values or integers and a fraction, say."""

    def decomposition(x: Tensor, y: Any) -> Any:
        wide = _promoted(x, y)
        return NotImplemented if wide.dtype == x.dtype else function(wide, y)

    return decomposition


def _in_float(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Any]:
    """`function` of integers and truth values, of which TVM's takes none."""
    return lambda x: NotImplemented if x.is_floating_point() else function(x.to(torch.float32))


def _add(x: Tensor, y: Any, *, alpha: float = 1) -> Any:
    wide = _promoted(x, y)
    return NotImplemented if alpha == 1 and wide.dtype == x.dtype else wide + y * alpha


def _sub(x: Tensor, y: Any, *, alpha: float = 1) -> Any:
    wide = _promoted(x, y)
    return NotImplemented if alpha == 1 and wide.dtype == x.dtype else wide - y * alpha


def _rsub(x: Tensor, y: Any, alpha: float = 1) -> Any:
    wide = _promoted(x, y)
    if alpha == 1 and not isinstance(y, int) and wide.dtype == x.dtype:
        return NotImplemented
    return wide * -alpha + (float(y) if isinstance(y, int) and x.is_floating_point() else y)


def _div(x: Tensor, y: Any) -> Any:
    """TVM divides integers as integers."""
    if x.is_floating_point():
        return NotImplemented
    return x.to(torch.float32) / y


def _div_and_round(x: Tensor, y: Any, *, rounding_mode: str | None = None) -> Any:
    """TVM takes two tensors of one type."""
    if isinstance(y, Tensor):
        return NotImplemented
    wide = _promoted(x, y)
    return aten.div.Tensor_mode(wide, torch.full_like(wide, y), rounding_mode=rounding_mode)


def _in_int64(reduction: Callable[..., Tensor]) -> Callable[..., Any]:
    """`reduction` of integers and truth values: torch accumulates in int64, TVM in the operand's type."""

    def decomposition(x: Tensor, *arguments: Any, dtype: torch.dtype | None = None) -> Any:
        wide = dtype if dtype is not None and dtype.is_floating_point else torch.int64
        if x.dtype == wide or (dtype is None and x.is_floating_point()):
            return NotImplemented
        result = reduction(x.to(wide), *arguments)
        return result if dtype in (None, wide) else result.to(dtype)

    return decomposition


def _power_of_number(x: float, y: Tensor) -> Tensor:
    return torch.pow(torch.full_like(y, x, dtype=torch.float32), y)


def _group_norm(
    x: Tensor,
    groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    _cudnn: bool = True,
) -> Tensor:
    mean_of = x.reshape(x.shape[0], groups, -1)
    centred = mean_of - mean_of.mean(-1, keepdim=True)
    y = (centred * torch.rsqrt((centred * centred).mean(-1, keepdim=True) + eps)).reshape(x.shape)
    channels = [1, -1, *[1] * (x.dim() - 2)]
    y = y if weight is None else y * weight.reshape(channels)
    return y if bias is None else y + bias.reshape(channels)


def _amax(x: Tensor, axes: Sequence[int] = (), keepdim: bool = False) -> Tensor:
    if x.dim() == 4 and sorted(axis % 4 for axis in axes) == [2, 3]:
        largest: Tensor = aten.max_pool2d_with_indices(x, x.shape[2:], x.shape[2:])[0]
        return largest if keepdim else largest.flatten(1)
    for axis in sorted((axis % x.dim() for axis in axes or range(x.dim())), reverse=True):
        x = torch.max(x, axis, keepdim=keepdim).values
    return x


def _amin(x: Tensor, axes: Sequence[int] = (), keepdim: bool = False) -> Tensor:
    return -_amax(-x, axes, keepdim)


def _adaptive_max_pool2d(x: Tensor, size: Sequence[int]) -> Any:
    window = [extent // new for extent, new in zip(x.shape[-2:], size, strict=True)]
    if not any(extent % new for extent, new in zip(x.shape[-2:], size, strict=True)):
        return aten.max_pool2d_with_indices(x, window, window)
    image = x if x.dim() == 4 else x.unsqueeze(0)
    for axis, new in zip((2, 3), size, strict=True):
        parts = []
        for first, end in adaptive_windows(image.shape[axis], new):
            part = image.narrow(axis, first, end - first)
            extents = [end - first, 1] if axis == 2 else [1, end - first]
            parts.append(aten.max_pool2d_with_indices(part, extents, extents)[0])
        image = torch.cat(parts, axis)
    largest = image if x.dim() == 4 else image.squeeze(0)
    # where the largest are is nothing that windows of several sizes tell: a model that asks for it is refused
    return largest, torch.full(largest.shape, -1, dtype=torch.int64)


def _pad(x: Tensor, widths: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """As torch has it (aten/src/ATen/native/PadNd.cpp), but for "circular", which writes slices in place."""
    axes = len(widths) // 2
    if mode == "constant":
        return aten.constant_pad_nd(x, widths, 0.0 if value is None else value)
    if mode != "circular":
        kind = {"reflect": "reflection", "replicate": "replication"}[mode]
        return getattr(aten, f"{kind}_pad{axes}d")(x, widths)
    if min(widths) < 0:
        return aten._pad_circular(x, widths)
    for number in range(axes):
        axis = x.dim() - 1 - number
        before, after = widths[2 * number : 2 * number + 2]
        parts = [x.narrow(axis, x.shape[axis] - before, before), x, x.narrow(axis, 0, after)]
        x = torch.cat([part for part in parts if part.shape[axis]], axis)
    return x


def _selu(x: Tensor) -> Tensor:
    alpha, scale = 1.6732632423543772, 1.0507009873554805  # torch/nn/modules/activation.py
    return scale * (torch.relu(x) + alpha * (torch.exp(x.clamp(max=0.0)) - 1.0))


def _var_mean(x: Tensor, axes: Any = None, *, correction: Any = None, keepdim: bool = False) -> Any:
    mean = torch.mean(x, axes, keepdim=keepdim)
    return torch.var(x, axes, correction=1 if correction is None else correction, keepdim=keepdim), mean


def _index(x: Tensor, indices: Sequence[Tensor | None]) -> Any:
    """Index tensors on several axes, as one on the axes joined."""
    axes = [axis for axis, index in enumerate(indices) if index is not None]
    used = [index for index in indices if index is not None]
    if len(used) < 2 or any(index.dtype == torch.bool for index in used):
        return NotImplemented
    rest = [axis for axis in range(x.dim()) if axis not in axes]
    first = axes[0] if axes == list(range(axes[0], axes[-1] + 1)) else 0  # apart, the new axes come first
    x = x.permute([*rest[:first], *axes, *rest[first:]])
    joined = torch.zeros_like(used[0])
    for axis, index in enumerate(used, first):
        joined = joined * x.shape[axis] + torch.where(index < 0, index + x.shape[axis], index)
    rows = x.flatten(first, first + len(used) - 1).index_select(first, joined.flatten())
    return rows.reshape([*x.shape[:first], *joined.shape, *x.shape[first + len(used) :]])


def _unsafe_view(x: Tensor, shape: Sequence[int]) -> Tensor:
    return x.view(shape)


# Where elements come from is computed in fp32, as torch does, from an arange, which TVM folds.


def _upsample_nearest(
    x: Tensor, size: Sequence[int] | None, factors: Sequence[float] | None, exact: bool = False
) -> Tensor:
    for axis, (extent, step) in enumerate(_steps(x, size, factors), 2):
        places = torch.arange(extent, dtype=torch.float32)
        places = torch.floor((places + 0.5 if exact else places) * step)
        x = x.index_select(axis, places.clamp(0, x.shape[axis] - 1).long())
    return x


def _upsample_bilinear(
    x: Tensor, size: Sequence[int] | None, align_corners: bool, factors: Sequence[float] | None
) -> Any:
    steps = _steps(x, size, factors)
    is_by_integers = all(
        new % old == 0 and step * new == old for (new, step), old in zip(steps, x.shape[2:], strict=True)
    )
    if is_by_integers and not align_corners:
        return NotImplemented  # TVM's own form has the factors
    return _upsample_linear(x, size, align_corners, factors)


def _upsample_linear(
    x: Tensor, size: Sequence[int] | None, align_corners: bool, factors: Sequence[float] | None
) -> Tensor:
    for axis, (extent, step) in enumerate(_steps(x, size, factors), 2):
        last, places = x.shape[axis] - 1, torch.arange(extent, dtype=torch.float32)
        if align_corners:
            places = places * (last / (extent - 1) if extent > 1 else 0.0)
        else:
            places = (places + 0.5) * step - 0.5
        places = places.clamp(0, last)
        low = torch.floor(places)
        below = x.index_select(axis, low.long())
        above = x.index_select(axis, (low + 1).clamp(0, last).long())
        x = below + (above - below) * (places - low).reshape([-1, *[1] * (x.dim() - 1 - axis)])
    return x


def _steps(x: Tensor, size: Sequence[int] | None, factors: Sequence[float] | None) -> list[tuple[int, float]]:
    """For each axis of the image its new extent, and how far apart new elements are in the old one."""
    old = x.shape[2:]
    if size is not None:
        return [(new, extent / new) for new, extent in zip(size, old, strict=True)]
    return [(int(extent * f), 1 / f) for f, extent in zip(factors or (), old, strict=True)]


_nearest_exact = partial(_upsample_nearest, exact=True)

_OURS: dict[Any, Callable[..., Any]] = {
    aten._unsafe_view.default: _unsafe_view,
    aten._upsample_nearest_exact1d.vec: _nearest_exact,
    aten._upsample_nearest_exact2d.vec: _nearest_exact,
    aten._upsample_nearest_exact3d.vec: _nearest_exact,
    aten.adaptive_max_pool2d.default: _adaptive_max_pool2d,
    aten.add.Tensor: _add,
    aten.amax.default: _amax,
    aten.amin.default: _amin,
    aten.cos.default: _in_float(torch.cos),
    aten.cumprod.default: _in_int64(torch.cumprod),
    aten.cumsum.default: _in_int64(torch.cumsum),
    aten.div.Scalar: _div,
    aten.div.Tensor: _div,
    aten.div.Tensor_mode: _div_and_round,
    aten.eq.Scalar: _with_number(torch.eq),
    aten.erf.default: _in_float(torch.erf),
    aten.exp.default: _in_float(torch.exp),
    aten.ge.Scalar: _with_number(torch.ge),
    aten.group_norm.default: _group_norm,
    aten.gt.Scalar: _with_number(torch.gt),
    aten.index.Tensor: _index,
    aten.le.Scalar: _with_number(torch.le),
    aten.log.default: _in_float(torch.log),
    aten.lt.Scalar: _with_number(torch.lt),
    aten.mul.Tensor: _with_number(torch.mul),
    aten.ne.Scalar: _with_number(torch.ne),
    aten.pad.default: _pad,
    aten.pow.Scalar: _power_of_number,
    aten.pow.Tensor_Scalar: _with_number(torch.pow),
    aten.prod.default: _in_int64(torch.prod),
    aten.remainder.Scalar: _with_number(torch.remainder),
    aten.rsub.Scalar: _rsub,
    aten.rsub.Tensor: _rsub,
    aten.scaled_dot_product_attention.default: attention,
    aten.selu.default: _selu,
    aten.sigmoid.default: _in_float(torch.sigmoid),
    aten.sin.default: _in_float(torch.sin),
    aten.sub.Tensor: _sub,
    aten.tanh.default: _in_float(torch.tanh),
    aten.upsample_bilinear2d.vec: _upsample_bilinear,
    aten.upsample_linear1d.vec: _upsample_linear,
    aten.upsample_nearest1d.vec: _upsample_nearest,
    aten.upsample_nearest2d.vec: _upsample_nearest,
    aten.upsample_nearest3d.vec: _upsample_nearest,
    aten.upsample_trilinear3d.vec: _upsample_linear,
    aten.var_mean.correction: _var_mean,
}
