"""Layer norms and RMS norms that a model spells out, as one operator each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.graph import (
    Rebuilder,
    constant,
    constant_array,
    dtype_of,
    is_constant,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.tvm_compat import Call, IRModule, Var

Array = npt.NDArray[Any]


def norms_to_operators(module: IRModule) -> IRModule:
    """(x - mean) / sqrt(variance + eps) * gamma + beta over the last axis becomes a relax.nn.layer_norm, and
    x / sqrt(mean of squares + eps) * gamma a relax.nn.rms_norm (Zhang, Sennrich, NeurIPS 2019).

    Without gamma they stay where x is another shape of something: then it is a norm of groups, of many more
    elements, which TVM's layer norm sums in one pass, and so less exactly.
    """
    return replace_main(module, _Norms(module["main"]).run())


@dataclass(frozen=True)
class _Norm:
    """gamma, beta: of the extent of the last axis; None: of an RMS norm, or no part yet."""

    x: Any
    epsilon: float
    is_centred: bool
    gamma: Array | None = None
    beta: Array | None = None

    def call(self) -> Call:
        channels = static_shape(self.x)[-1]
        gamma = constant(np.ones(channels, np.float32) if self.gamma is None else self.gamma)
        if not self.is_centred:
            return relax.op.nn.rms_norm(self.x, gamma, [-1], self.epsilon)
        beta = constant(np.zeros(channels, np.float32) if self.beta is None else self.beta)
        return relax.op.nn.layer_norm(self.x, gamma, beta, [-1], self.epsilon)


class _Norms(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        if name not in ("relax.add", "relax.divide", "relax.multiply") or dtype_of(var) != "float32":
            return value
        if name != "relax.divide":
            norm = self._with_vector(name, value)
            if norm is not None:
                return norm.call()
        norm = self._core(value)
        is_of_groups = norm is not None and op_name(self.value_of(norm.x)) == "relax.reshape"
        return value if norm is None or is_of_groups else norm.call()

    def _with_vector(self, name: str, value: Call) -> _Norm | None:
        """A norm whose result is multiplied with gamma, or to which beta is added."""
        for operand, vector in (value.args, [*value.args][::-1]):
            along = _along_last(vector, operand)
            if along is None or not self.is_read_once(operand):
                continue
            inner: Any = self.value_of(operand)
            norm = self._known(inner) or self._core(inner)
            if norm is None or norm.beta is not None:
                continue
            if name == "relax.multiply" and norm.gamma is None:
                return _Norm(norm.x, norm.epsilon, norm.is_centred, gamma=along)
            if name == "relax.add" and norm.is_centred:
                return _Norm(norm.x, norm.epsilon, True, norm.gamma, along)
        return None

    def _known(self, call: Any) -> _Norm | None:
        """A norm that is one operator already, over the last axis; gamma of ones, beta of zeros is none."""
        is_centred = op_name(call) == "relax.nn.layer_norm"
        if not is_centred and op_name(call) != "relax.nn.rms_norm":
            return None
        rank = len(call.args[0].ty.shape)
        is_last = [int(axis) % rank for axis in call.attrs.axes] == [rank - 1]
        if not is_last or not all(map(is_constant, call.args[1:])):
            return None
        gamma, *beta = map(constant_array, call.args[1:])
        return _Norm(
            call.args[0],
            float(call.attrs.epsilon),
            is_centred,
            None if (gamma == 1).all() else gamma,
            beta[0] if beta and beta[0].any() else None,
        )

    def _core(self, value: Any) -> _Norm | None:
        """x times 1 / sqrt(mean(x * x) + eps), or divided by the root; x may be z - mean(z)."""
        name = op_name(value)
        if name == "relax.divide":
            found = self._root(value.args[1])
            return None if found is None else self._norm(value.args[0], found)
        if name != "relax.multiply":
            return None
        for x, inverse in (value.args, [*value.args][::-1]):
            found = self._inverse_root(inverse)
            norm = None if found is None else self._norm(x, found)
            if norm is not None:
                return norm
        return None

    def _norm(self, x: Any, variance: tuple[Any, float]) -> _Norm | None:
        squares, epsilon = variance
        centred = self._centred(x)
        source: Any = self.value_of(squares)
        if op_name(source) == "relax.variance":
            is_own = centred is not None and source.args[0].same_as(centred) and _is_over_last(source)
            return _Norm(centred, epsilon, True) if is_own else None
        if op_name(source) != "relax.mean" or not _is_over_last(source):
            return None
        squared = self._squared(source.args[0])
        if squared is None or not (squared.same_as(x) or self._are_centred_alike(squared, centred)):
            return None
        return _Norm(x, epsilon, False) if centred is None else _Norm(centred, epsilon, True)

    def _are_centred_alike(self, squared: Any, centred: Any) -> bool:
        """Exporters subtract the mean once for the variance and once for the result."""
        other = self._centred(squared)
        return centred is not None and other is not None and bool(other.same_as(centred))

    def _centred(self, x: Any) -> Any:
        """z, if x is z - mean(z) over the last axis; else None."""
        call: Any = self.value_of(x)
        if op_name(call) != "relax.subtract":
            return None
        mean: Any = self.value_of(call.args[1])
        is_mean = op_name(mean) == "relax.mean" and _is_over_last(mean) and mean.args[0].same_as(call.args[0])
        return call.args[0] if is_mean else None

    def _squared(self, x: Any) -> Any:
        """y, if x is its square; else None."""
        call: Any = self.value_of(x)
        name = op_name(call)
        if name == "relax.square":
            return call.args[0]
        if name == "relax.multiply" and call.args[0].same_as(call.args[1]):
            return call.args[0]
        return call.args[0] if name == "relax.power" and _number(call.args[1]) == 2 else None

    def _inverse_root(self, x: Any) -> tuple[Any, float] | None:
        """(v, eps), if x is 1 / sqrt(v + eps)."""
        call: Any = self.value_of(x)
        name = op_name(call)
        if name == "relax.rsqrt":
            return self._shifted(call.args[0])
        if name == "relax.power" and _number(call.args[1]) == -0.5:
            return self._shifted(call.args[0])
        return self._root(call.args[1]) if name == "relax.divide" and _number(call.args[0]) == 1 else None

    def _root(self, x: Any) -> tuple[Any, float] | None:
        """(v, eps), if x is sqrt(v + eps)."""
        call: Any = self.value_of(x)
        is_power = op_name(call) == "relax.power" and _number(call.args[1]) == 0.5
        return self._shifted(call.args[0]) if op_name(call) == "relax.sqrt" or is_power else None

    def _shifted(self, x: Any) -> tuple[Any, float] | None:
        call: Any = self.value_of(x)
        if op_name(call) != "relax.add":
            return None
        for variance, epsilon in (call.args, [*call.args][::-1]):
            number = _number(epsilon)
            if number is not None and number >= 0:  # 1e-12 is 0 in float16
                return variance, number
        return None


def _is_over_last(call: Call) -> bool:
    rank, axes = len(call.args[0].ty.shape), call.attrs.axis
    is_last = axes is not None and [int(axis) % rank for axis in axes] == [rank - 1]
    return is_last and bool(call.attrs.keepdims)


def _number(expr: Any) -> float | None:
    return (
        float(constant_array(expr).item()) if is_constant(expr) and constant_array(expr).size == 1 else None
    )


def _along_last(vector: Any, x: Any) -> Array | None:
    """A constant that gives each channel of `x` its own number; None if it is none."""
    if not is_constant(vector) or is_constant(x) or dtype_of(vector) != "float32":
        return None
    array, channels = constant_array(vector), static_shape(x)[-1:]
    if not channels or array.ndim > len(x.ty.shape) or array.size != channels[0] or array.ndim < 1:
        return None
    return array.reshape(-1) if array.shape[-1] == channels[0] else None
