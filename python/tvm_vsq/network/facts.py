"""What holds of the operators of a canonical fp32 graph, each fact said once; `source.facts_of` reads it.

Nothing is known of an operator that is not here, nor of what a row leaves out. An operator of the accelerator
may bring its own row, in its folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from math import inf, isnan
from typing import Any

from tvm_vsq.graph import constant_array, is_constant, static_shape

SignRule = Callable[[Any, Callable[[Any], bool]], bool]
"""Whether no element of a call's result is negative, given what tells that of its operands."""


class Elements(Enum):
    """Where the elements of a result come from."""

    COMPUTED = "computed"
    VIEWED = "those of the operand, the same bytes in another shape"
    COPIED = "some of the operands', moved or repeated, or constants beside them"
    CHOSEN = "the largest or smallest of some of the operand's"


def always(_call: Any, _is_nonnegative: Any = None) -> bool:
    """As a sign rule: never negative, whatever the operands are."""
    return True


def never(_call: Any, _is_nonnegative: Any = None) -> bool:
    """As a sign rule: nothing is known."""
    return False


def if_first(call: Any, is_nonnegative: Callable[[Any], bool]) -> bool:
    """The sign rule of what keeps the sign of its first operand, a tensor or a tuple of tensors."""
    return is_nonnegative(call.args[0])


def if_all(call: Any, is_nonnegative: Callable[[Any], bool]) -> bool:
    """The sign rule of sums and the like."""
    return all(is_nonnegative(arg) for arg in call.args)


def _unbounded(_call: Any) -> tuple[float, float] | None:
    return None


@dataclass(frozen=True)
class Facts:
    """About every call of one operator.

    elementwise: of how many tensors, its first operands, which broadcast, an element of the result depends on
        the elements at its place alone, and in the same way at each; 0 if that is not so.
    elements: where those of the result come from.
    nonnegative: see `SignRule`; NaN is not negative.
    channelwise: whether each channel of a call's result, the last axis, depends on just that channel of the
        operands, and in the same way for each.
    clamp: (low, high), low <= high, if a call is min(max(x, low), high) of one operand; else None.
    no_form: why a call that passes have left as it is has no form on the accelerator.
    """

    elementwise: int = 0
    elements: Elements = Elements.COMPUTED
    nonnegative: SignRule = never
    channelwise: Callable[[Any], bool] = never
    clamp: Callable[[Any], tuple[float, float] | None] = _unbounded
    no_form: str = "no accelerator form yet"


_OTHER_AXIS = "has a form on the accelerator over the last axis alone"


def _has_channels_last(call: Any) -> bool:
    return str(call.attrs.layout).endswith("C")


def _keeps_last_extent(call: Any) -> bool:
    return static_shape(call.args[0])[-1:] == static_shape(call)[-1:]


def _spares_last_axis(call: Any) -> bool:
    rank, axes = len(static_shape(call.args[0])), call.attrs.axis
    return axes is not None and all(int(axis) % rank != rank - 1 for axis in axes)


def _relu(_call: Any) -> tuple[float, float]:
    return 0.0, inf


def _clip(call: Any) -> tuple[float, float]:
    """Where the bounds are crossed, TVM gives the lower one."""
    low, high = (float(arg.value) for arg in call.args[1:])
    return low, max(low, high)


def _bound(call: Any) -> float | None:
    """The one number that the other operand is compared with."""
    for x, bound in (call.args, [*call.args][::-1]):
        if is_constant(bound) and not is_constant(x) and len(bound.ty.shape) <= len(x.ty.shape):
            array = constant_array(bound)
            return float(array.item()) if array.size == 1 and not isnan(array.item()) else None
    return None


def _maximum(call: Any) -> tuple[float, float] | None:
    bound = _bound(call)
    return None if bound is None else (bound, inf)


def _minimum(call: Any) -> tuple[float, float] | None:
    bound = _bound(call)
    return None if bound is None else (-inf, bound)


def _if_clipped(call: Any, is_nonnegative: Callable[[Any], bool]) -> bool:
    low, high = _clip(call)
    return low >= 0 or (high >= 0 and is_nonnegative(call.args[0]))


def _if_any(call: Any, is_nonnegative: Callable[[Any], bool]) -> bool:
    return any(is_nonnegative(arg) for arg in call.args)


def _if_divided(call: Any, is_nonnegative: Callable[[Any], bool]) -> bool:
    """A divisor of -0.0 gives minus infinity."""
    return (
        is_nonnegative(call.args[0])
        and is_constant(call.args[1])
        and bool((constant_array(call.args[1]) > 0).all())
    )


def _if_power(call: Any, _is_nonnegative: Callable[[Any], bool]) -> bool:
    """By exponents that give no sign: even ones, and those for which a base with one gives no number."""
    if not is_constant(call.args[1]):
        return False
    exponents = constant_array(call.args[1])
    return bool(((exponents % 1 != 0) | (exponents % 2 == 0)).all())


def _if_cast(call: Any, is_nonnegative: Callable[[Any], bool]) -> bool:
    """Integers may wrap."""
    return "float" in str(call.attrs.dtype) and is_nonnegative(call.args[0])


def _if_padded(call: Any, is_nonnegative: Callable[[Any], bool]) -> bool:
    return (str(call.attrs.pad_mode) != "constant" or float(call.attrs.pad_value) >= 0) and is_nonnegative(
        call.args[0]
    )


def _unary(nonnegative: SignRule = never, clamp: Callable[[Any], Any] = _unbounded) -> Facts:
    return Facts(elementwise=1, nonnegative=nonnegative, channelwise=always, clamp=clamp)


def _binary(nonnegative: SignRule = never, clamp: Callable[[Any], Any] = _unbounded) -> Facts:
    return Facts(elementwise=2, nonnegative=nonnegative, channelwise=always, clamp=clamp)


def _reduction(nonnegative: SignRule, elements: Elements = Elements.COMPUTED) -> Facts:
    return Facts(elements=elements, nonnegative=nonnegative, channelwise=_spares_last_axis)


_VIEW = Facts(elements=Elements.VIEWED, nonnegative=if_first, channelwise=_keeps_last_extent)
_COPY = Facts(elements=Elements.COPIED, nonnegative=if_first)
_AVERAGE = Facts(nonnegative=if_first, channelwise=_has_channels_last)
_LARGEST = Facts(elements=Elements.CHOSEN, nonnegative=if_first, channelwise=_has_channels_last)

FACTS: dict[str, Facts] = {
    f"relax.{name}": facts
    for name, facts in {
        # one tensor, and numbers
        "abs": _unary(always),
        "acos": _unary(always),
        "acosh": _unary(always),
        "asin": _unary(if_first),
        "asinh": _unary(if_first),
        "astype": _unary(_if_cast),
        "atan": _unary(if_first),
        "atanh": _unary(if_first),
        "ceil": _unary(if_first),
        "clip": _unary(_if_clipped, _clip),
        "cos": _unary(),
        "cosh": _unary(always),
        "erf": _unary(if_first),
        "exp": _unary(always),
        "floor": _unary(if_first),
        "log": _unary(),
        "negative": _unary(),
        "nn.gelu": _unary(if_first),
        "nn.gelu_tanh": _unary(if_first),
        "nn.leakyrelu": _unary(if_first),
        "nn.relu": _unary(always, _relu),
        "nn.selu": _unary(if_first),
        "nn.silu": _unary(if_first),
        "nn.softplus": _unary(always),
        "round": _unary(if_first),
        "rsqrt": _unary(always),
        "sigmoid": _unary(always),
        "sign": _unary(if_first),
        "sin": _unary(),
        "sinh": _unary(if_first),
        "sqrt": _unary(always),
        "square": _unary(always),
        "tan": _unary(),
        "tanh": _unary(if_first),
        "trunc": _unary(if_first),
        # two tensors
        "add": _binary(if_all),
        "divide": _binary(_if_divided),
        "maximum": _binary(_if_any, _maximum),
        "minimum": _binary(if_all, _minimum),
        "multiply": _binary(if_all),
        "power": _binary(_if_power),
        "subtract": _binary(),
        # the same bytes
        "expand_dims": _VIEW,
        "flatten": _VIEW,
        "nn.batch_flatten": _VIEW,
        "reshape": _VIEW,
        "squeeze": _VIEW,
        # moved bytes
        "broadcast_to": _COPY,
        "concat": _COPY,
        "flip": _COPY,
        "gather_elements": _COPY,
        "gather_nd": _COPY,
        "index_tensor": _COPY,
        "layout_transform": Facts(elements=Elements.COPIED),  # may pad with anything
        "nn.pad": Facts(elements=Elements.COPIED, nonnegative=_if_padded),
        "permute_dims": _COPY,
        "repeat": _COPY,
        "split": _COPY,
        "stack": _COPY,
        "strided_slice": _COPY,
        "take": _COPY,
        "tile": _COPY,
        # along axes
        "max": _reduction(if_first, Elements.CHOSEN),
        "mean": _reduction(if_first),
        "min": _reduction(if_first, Elements.CHOSEN),
        "nn.softmax": Facts(nonnegative=always, no_form=_OTHER_AXIS),
        "nn.layer_norm": Facts(no_form=_OTHER_AXIS),
        "nn.rms_norm": Facts(no_form=_OTHER_AXIS),
        "prod": _reduction(if_first),
        "std": _reduction(always),
        "sum": _reduction(if_first),
        "variance": _reduction(always),
        # windows
        "nn.adaptive_avg_pool1d": _AVERAGE,
        "nn.adaptive_avg_pool2d": replace(
            _AVERAGE,
            no_form="its windows are of several sizes: the result's extents do not divide the image's",
        ),
        "nn.adaptive_avg_pool3d": _AVERAGE,
        "nn.avg_pool1d": _AVERAGE,
        "nn.avg_pool3d": _AVERAGE,
        "nn.max_pool1d": _LARGEST,
        "nn.max_pool3d": _LARGEST,
    }.items()
}
"""By the operator's name in Relax."""
