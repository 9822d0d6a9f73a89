"""Activation functions that the vector unit looks up, recognized by what they compute."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.graph import bindings, constant_array, definitions, is_constant, op_name, tensors
from tvm_vsq.network import facts_of
from tvm_vsq.tvm_compat import Call, Var

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Function:
    """A function of one number, by its name in `FORMS`, with a parameter if it has one.

    kink: where its slope jumps, on either side of 0; 0 if only at 0, or nowhere. reach: beyond it on both
    sides the function is constant, or differs from its limit by less than 2^-22; 0 if it grows. offset: what
    is added to arguments that are never below 0; 0 for functions of all numbers.
    """

    name: str
    parameter: float = 0.0
    kink: float = 0.0
    reach: float = 0.0
    offset: float = 0.0

    @property
    def is_smooth(self) -> bool:
        """Whether its slope jumps nowhere."""
        return self.name in _SMOOTH

    def __call__(self, x: Array) -> Array:
        """In float64."""
        argument = np.asarray(x, np.float64)
        if self.offset:
            argument = np.maximum(argument, 0) + self.offset
        return FORMS[self.name](argument, self.parameter)

    def __str__(self) -> str:
        return self.name.replace("_", " ") + (f" {self.parameter:g}" if self.parameter else "")


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _erf(x: Array) -> Array:
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x), np.float64)


def _gelu_tanh(x: Array, _: float) -> Array:
    inside = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    return np.asarray(0.5 * x * (1 + np.tanh(inside)), np.float64)


def _elu(x: Array, alpha: float) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
"""Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017, section 2; digits as torch has them."""


def _mish(x: Array, _: float) -> Array:
    return np.asarray(x * np.tanh(np.logaddexp(0, x)), np.float64)


FORMS: dict[str, Callable[[Array, float], Array]] = {
    "sigmoid": lambda x, _: _sigmoid(x),
    "tanh": lambda x, _: np.tanh(x),
    "silu": lambda x, _: x * _sigmoid(x),
    "swish": lambda x, slope: x * _sigmoid(slope * x),
    "hard_sigmoid": lambda x, slope: np.clip(slope * x + 0.5, 0, 1),
    "hard_swish": lambda x, _: x * np.clip(x + 3, 0, 6) / 6,
    "leaky_relu": lambda x, slope: np.where(x > 0, x, slope * x),
    "gelu": lambda x, _: 0.5 * x * (1 + _erf(x / np.sqrt(2))),
    "gelu_tanh": _gelu_tanh,
    "elu": _elu,
    "mish": _mish,
    "softplus": lambda x, _: np.logaddexp(0, x),
    "selu": lambda x, _: _SELU_SCALE * _elu(x, _SELU_ALPHA),
    "celu": lambda x, alpha: alpha * _elu(x / alpha, 1.0),
    "hard_tanh": lambda x, limit: np.clip(x, -limit, limit),
    "power": lambda x, exponent: x**exponent,
}


_SMOOTH = {"sigmoid", "tanh", "silu", "swish", "gelu", "gelu_tanh", "mish", "softplus"}

_FIXED = (
    Function("sigmoid", reach=16.0),
    Function("tanh", reach=8.0),
    Function("silu"),
    Function("hard_swish", kink=3.0),
    Function("gelu"),
    Function("gelu_tanh"),
    Function("mish"),
    Function("softplus"),
    Function("selu"),
)

_POINTS = np.array(
    [-30.0, -7.5, -3.25, -2.75, -1.5, -1.0, -0.5, -0.125, 0.0, 0.25, 1.0, 1.75, 2.5, 3.5, 9.0, 40.0]
)
_TOLERANCE = 1e-5
"""Of what a model computes in float32."""


def recognized(function: Callable[[Array], Array]) -> Function | None:
    """Which one `function` is; None if it is none of them."""
    values = function(_POINTS)
    if not np.isfinite(values).all():
        return None
    slope = float(function(np.array([1e-2]))[0] - function(np.array([-1e-2]))[0]) / 2e-2
    left, right = (float(function(np.array([x]))[0]) for x in (-1.0, 1.0))
    far = float(function(np.array([-30.0]))[0])
    candidates = list(_FIXED)
    if abs(slope) > 1e-3:
        kink = float(f"{0.5 / slope:.6g}")  # a model has its slope in float32
        candidates.append(Function("hard_sigmoid", 0.5 / kink, kink=abs(kink), reach=2 * abs(kink)))
    if 0 < -left < right:
        candidates.append(Function("leaky_relu", float(f"{-left:.7g}")))
    if 0 < right < 1 and abs(right - 0.5) > 1e-4:  # at half of x, its slope is 0: a factor
        candidates.append(Function("swish", float(f"{np.log(right / (1 - right)):.6g}")))
    if far < -1e-3:
        limit = float(f"{-far:.7g}")
        candidates += [Function("elu", limit), Function("celu", limit)]
        candidates.append(Function("hard_tanh", limit, kink=limit, reach=2 * limit))
    for candidate in candidates:
        if np.allclose(candidate(_POINTS), values, rtol=_TOLERANCE, atol=_TOLERANCE):
            return candidate
    return None


@dataclass(frozen=True)
class Applied:
    """A function of a tensor in a graph. members: what computes it, of which the last one is the result."""

    function: Function
    members: tuple[Var, ...]


class FunctionFinder:
    """Finds functions of single tensors in a straight-line function."""

    def __init__(self, function: relax.Function) -> None:
        self._values = definitions(function)
        self._order = {binding.var: place for place, binding in enumerate(bindings(function))}
        self._readers: dict[Var, list[Var]] = {}
        for binding in bindings(function):
            for operand in dict.fromkeys(each for each in tensors(binding.value) if isinstance(each, Var)):
                self._readers.setdefault(operand, []).append(binding.var)
        self._result = function.body.body
        self._found: dict[Var, Applied | None] = {}

    def of(self, x: Var) -> Applied | None:
        """The function of `x` that all its readers are parts of, the longest; None if there is none."""
        if x not in self._found:
            self._found[x] = next(reversed(list(self._candidates(x))), None)
        return self._found[x]

    def beside(self, x: Var) -> Applied | None:
        """The function of `x` that takes in the most of its readers; others may read it as well."""
        found = list(self._candidates(x, alone=False))
        return found[-1] if found else None

    def _candidates(self, x: Var, alone: bool = True) -> Iterator[Applied]:
        """In program order. alone: nothing else reads x."""
        inside: dict[Var, None] = {}
        pending = list(self._readers.get(x, []))
        while pending and len(inside) < _MOST_MEMBERS:
            var = min(pending, key=self._order.__getitem__)
            pending = [other for other in pending if other is not var]
            if var in inside or not self._is_elementwise(self._values[var], {x, *inside}):
                continue
            inside[var] = None
            members = self._needed(var, inside)
            closed = (x, *members[:-1]) if alone else members[:-1]
            if self._is_closed(closed, members) and not all(map(self._is_simple, members)):
                found = recognized(partial(self._evaluate, x, members)) or self._power(x, members)
                if found is not None:
                    yield Applied(found, members)
            pending += self._readers.get(var, [])

    def _power(self, x: Var, members: tuple[Var, ...]) -> Function | None:
        """Of a sum of squares and a positive number, as local response normalization has it."""
        last = self._values[members[-1]]
        if op_name(last) != "relax.power" or len(members) != 2 or not self._sums_squares(self._values[x]):
            return None
        added = self._values[members[0]]
        numbers = added.args[1], last.args[1]
        if op_name(added) != "relax.add" or not all(map(_is_number, numbers)):
            return None
        shift, exponent = (float(constant_array(number).item()) for number in numbers)
        return Function("power", exponent, offset=shift) if shift > 0 else None

    def _sums_squares(self, call: Any) -> bool:
        """Whether a call is a layer of squares with weights none of which is negative, quantized or not."""
        if len(getattr(call, "args", ())) < 2:
            return False
        x, weights = (self._before_quantization(operand) for operand in call.args[:2])
        square: Any = self._values.get(x) if isinstance(x, Var) else None
        is_square = op_name(square) == "relax.multiply" and square.args[0].same_as(square.args[1])
        return is_square and is_constant(weights) and bool((constant_array(weights) >= 0).all())

    def _before_quantization(self, expr: Any) -> Any:
        """What vectors stand for; those of weights have their signs."""
        call: Any = self._values.get(expr) if isinstance(expr, Var) else None
        while op_name(call) in ("vsq.dequantize", "vsq.quantize"):
            expr = call.args[0]
            call = self._values.get(expr) if isinstance(expr, Var) else None
        return expr

    def _is_elementwise(self, call: Any, known: set[Var]) -> bool:
        if not isinstance(call, Call) or op_name(call) not in _NUMPY:
            return False
        return all(_is_number(operand) or operand in known for operand in _operands(call))

    def _is_simple(self, var: Var) -> bool:
        """Whether a layer can do it without a table: a bias, or a clamp that begins at 0."""
        call = self._values[var]
        clamp = facts_of(call).clamp(call)
        return op_name(call) == "relax.add" or (clamp is not None and clamp[0] in (0, -np.inf))

    def _needed(self, var: Var, inside: Mapping[Var, None]) -> tuple[Var, ...]:
        needed, pending = {var}, [var]
        while pending:
            for operand in tensors(self._values[pending.pop()]):
                if operand in inside and operand not in needed:
                    needed.add(operand)
                    pending.append(operand)
        return tuple(sorted(needed, key=self._order.__getitem__))

    def _is_closed(self, variables: Sequence[Var], members: tuple[Var, ...]) -> bool:
        """Whether only `members` read the variables."""
        return all(
            not var.same_as(self._result) and set(self._readers.get(var, [])) <= set(members)
            for var in variables
        )

    def _evaluate(self, x: Var, members: Sequence[Var], at: Array) -> Array:
        values: dict[Var, Array] = {x: at}
        with np.errstate(all="ignore"):
            for var in members:
                call = self._values[var]
                operands = [
                    float(constant_array(each).item()) if is_constant(each) else values[each]
                    for each in _operands(call)
                ]
                values[var] = np.asarray(_NUMPY[op_name(call)](call, *operands), np.float64)
        return values[members[-1]]


_MOST_MEMBERS = 16


def _operands(call: Any) -> list[Any]:
    """Tensors, without the numbers that clip takes as well."""
    return [each for each in call.args if is_constant(each) or isinstance(each, Var)]


def _is_number(operand: Any) -> bool:
    return is_constant(operand) and constant_array(operand).size == 1


def _clip(call: Any, x: Array) -> Array:
    low, high = (float(bound.value) for bound in call.args[1:])
    return np.maximum(np.minimum(x, high), low)


_ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "add": lambda _, a, b: a + b,
    "clip": _clip,
    "divide": lambda _, a, b: a / b,
    "erf": lambda _, a: _erf(a),
    "exp": lambda _, a: np.exp(a),
    "greater": lambda _, a, b: a > b,
    "log": lambda _, a: np.log(a),
    "maximum": lambda _, a, b: np.maximum(a, b),
    "minimum": lambda _, a, b: np.minimum(a, b),
    "multiply": lambda _, a, b: a * b,
    "negative": lambda _, a: -a,
    "power": lambda _, a, b: a**b,
    "nn.gelu": lambda _, a: FORMS["gelu"](a, 0.0),
    "nn.gelu_tanh": lambda _, a: _gelu_tanh(a, 0.0),
    "nn.leakyrelu": lambda call, a: FORMS["leaky_relu"](a, float(call.attrs.alpha)),
    "nn.relu": lambda _, a: np.maximum(a, 0),
    "nn.silu": lambda _, a: FORMS["silu"](a, 0.0),
    "nn.softplus": lambda _, a: np.logaddexp(0, a),
    "sigmoid": lambda _, a: _sigmoid(a),
    "subtract": lambda _, a, b: a - b,
    "tanh": lambda _, a: np.tanh(a),
    "where": lambda _, a, b, c: np.where(a != 0, b, c),
}
_NUMPY = {f"relax.{name}": function for name, function in _ELEMENTWISE.items()}
"""What these operators of the fp32 graph compute, of their call and their operands."""
