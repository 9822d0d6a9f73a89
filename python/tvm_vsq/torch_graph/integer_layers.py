"""The vsq.* operators as torch functions of their tensors (docs/numerics.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tvm_vsq.formats import OUTPUT, QUANTIZED, VectorFormat
from tvm_vsq.graph import constant_array, is_constant, op_name
from tvm_vsq.registry import NAMES, aspects
from tvm_vsq.relax_ops import layer_operators
from tvm_vsq.torch_graph.layer_form import LayerForm, Operator
from tvm_vsq.torch_graph.tables import look_up
from tvm_vsq.torch_graph.vectors import dequantize, integer_steps, requantize, scaled_elements
from tvm_vsq.tvm_compat import Call, Var

_LARGEST = VectorFormat(8, 10, 64, signed=False)
_INT32_MAX = 2**31 - 1


def quantize_operator(call: Call) -> Operator:
    """vsq.quantize: a function of x."""
    form = QuantizedForm.of(call)
    return lambda x: requantize(integer_steps(x, form.inv), form.format, form.guard_bits, form.scales)


@dataclass(frozen=True)
class QuantizedForm:
    """The attributes of a vsq.quantize."""

    format: VectorFormat
    inv: float
    guard_bits: int
    scales: list[int]

    @classmethod
    def of(cls, call: Call) -> QuantizedForm:
        """Those of `call`."""
        attrs = dict(call.attrs)
        return cls(
            QUANTIZED.read(attrs),
            float(attrs["inv"]),
            int(attrs["guard_bits"]),
            _integers(attrs.get("scales", ())),
        )


def dequantize_operator(call: Call) -> Operator:
    """vsq.dequantize: a function of vectors and gamma."""
    channels = int(call.attrs["channels"])
    return lambda vectors, gamma: dequantize(vectors, gamma, channels)


def layer_operator(call: Call, values: Mapping[Var, Any]) -> tuple[Operator, list[Any]]:
    """A layer, with the arguments it is a function of: constant weights are prepared once."""
    operator = layer_operators()[NAMES[op_name(call)]]
    form = aspects("torch", LayerForm)[NAMES[op_name(call)]]
    accumulate = form.on_vectors
    finish, peak = _post_processing(call), 0 if form.is_row_wise else _peak(call.args[0], values)
    end = operator.params + 1  # of x, weights and parameters; a residual may follow
    if operator.has_other:
        product = accumulate(call, peak)
        return lambda x, other, rows, *residual: finish(product(x, other), rows, *residual), list(call.args)
    x, *constants = call.args[:end]
    residual = list(call.args[end:])
    if all(map(is_constant, constants)):
        *weights, rows = (torch.from_numpy(constant_array(array)) for array in constants)
        product = accumulate(call, peak, *weights)
        if form.is_row_wise:
            return lambda x, *other: finish(product(x, *other), rows), [x, *residual]
        return lambda x, *residual: finish(product(x), rows, *residual), [x, *residual]

    def run(x: Tensor, *others: Tensor) -> Tensor:
        *weights, rows = others[: end - 1]
        if form.is_row_wise:
            return finish(accumulate(call, peak, *weights)(x, *others[end - 1 :]), rows)  # type: ignore[no-any-return]
        result: Tensor = finish(accumulate(call, peak, *weights)(x), rows, *others[end - 1 :])
        return result

    return run, list(call.args)


def _peak(x: Any, values: Mapping[Var, Any]) -> int:
    """Largest |element * scale| that the operator which made `x` can give."""
    source: Any = values.get(x) if isinstance(x, Var) else None
    fmt = _LARGEST
    if op_name(source) == "vsq.quantize":
        fmt = QuantizedForm.of(source).format
    elif op_name(source) in NAMES:
        fmt = OUTPUT.read(source.attrs, fmt.vector_size)
    return fmt.qmax * fmt.smax


def _post_processing(call: Call) -> Operator:
    """From accumulators int64[..., K], which it overwrites, params int32[K, 4], and a residual or a table."""
    attrs = call.attrs
    relu, wide, guard_bits = bool(int(attrs["relu"])), bool(int(attrs["wide"])), int(attrs["guard_bits"])
    res_mult, res_shift = int(attrs["res_mult"]), int(attrs["res_shift"])
    scales = _integers(dict(attrs).get("out_scales", ()))
    transposed = bool(int(dict(attrs).get("transposed", 0)))
    size = int(dict(attrs).get("vector_size", 0)) or int(call.args[0].ty.shape[-1]) - 1
    factor = [torch.tensor(int(dict(attrs).get(name, 0))) for name in ("tab_mult", "tab_shift")]

    def finish(acc: Tensor, params: Tensor, extra: Tensor | None = None) -> Tensor:
        table = extra if extra is not None and extra.dtype == torch.int32 else None
        residual = extra if table is None else None
        mult, shift, bias, clip = params.to(torch.int64).unbind(1)
        # |acc| < 2^45 and mult < 2^16: everything stays within int64
        total = _shift_half_up(acc.mul_(mult), shift).add_(bias)
        if residual is not None:
            addend = scaled_elements(residual, torch.float32).flatten(-2)[..., : len(params)].to(torch.int64)
            total += _shift_half_up(addend * res_mult, torch.tensor(res_shift))
        y = total.clamp_(0 if relu else -_INT32_MAX - 1, _INT32_MAX)
        y = y if bool((clip == _INT32_MAX).all()) else y.minimum(clip)
        if table is not None:
            y = _shift_half_up(look_up(y, table.to(torch.int64)) * factor[0], factor[1])
            y = y.clamp_(-_INT32_MAX - 1, _INT32_MAX)
        if transposed:
            y = y.mT
        if wide:
            return y.to(torch.int32)
        return requantize(y, OUTPUT.read(attrs, size), guard_bits, scales)

    return finish


def _integers(values: Any) -> list[int]:
    return [int(value) for value in values]


def _shift_half_up(n: Tensor, shift: Tensor) -> Tensor:
    """n / 2^shift in place, rounded half up; `n` int64."""
    return n.add_((torch.ones_like(shift) << shift) >> 1).bitwise_right_shift_(shift)
