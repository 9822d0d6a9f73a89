"""Local response normalization (Krizhevsky et al., NIPS 2012, section 3.3), its window a convolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.graph import constant, constant_array, is_constant, op_name, static_shape
from tvm_vsq.network import LayerRebuilder
from tvm_vsq.tvm_compat import Call, IRModule, Var


@dataclass(frozen=True)
class LocalResponse:
    """x / (bias + alpha * the mean of x^2 over `size` channels, `before` of them in front) ^ beta.

    Channels beyond the first and the last count as zeros.
    """

    size: int
    before: int
    alpha: float
    beta: float
    bias: float

    def kernel(self, channels: int) -> Any:
        """float32[K, C, 1, 1]: alpha / size where channel c is in the window of k."""
        at = np.arange(channels)
        away = at[None, :] - at[:, None] + self.before
        band = (away >= 0) & (away < self.size)
        return (band * (self.alpha / self.size)).astype(np.float32)[..., None, None]

    def of(self, x: Any, emit: Callable[[Any], Any], layer: Callable[[Any], Any]) -> Call:
        """It of `x`, NCHW. layer: emits the convolution."""
        squares = emit(relax.op.multiply(x, x))
        means = layer(relax.op.nn.conv2d(squares, constant(self.kernel(static_shape(x)[1]))))
        total = emit(relax.op.add(means, relax.const(self.bias, "float32")))
        return relax.op.multiply(x, emit(relax.op.power(total, relax.const(-self.beta, "float32"))))


def local_responses(module: IRModule) -> IRModule:
    """What torch and TVM make of it, with an average over three axes, becomes a product of x and a power of a
    convolution of x * x."""
    return _LocalResponses(module).rebuilt()


class _LocalResponses(LayerRebuilder):
    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        self._count = 0

    def rewrite(self, var: Var, value: Any) -> Any:
        found = self._found(value) if op_name(value) == "relax.divide" else None
        if found is None or len(static_shape(var)) != 4:
            return value
        name = f"local_response_norm_{self._count}"
        self._count += 1
        return found.of(value.args[0], self.emit, lambda call: self.layer(call, name))

    def _found(self, value: Call) -> LocalResponse | None:
        x = value.args[0]
        power = self._beside(value.args[1], "relax.power")
        total = None if power is None else self._beside(power[0], "relax.add")
        scaled = None if total is None else self._beside(total[0], "relax.multiply")
        if power is None or total is None or scaled is None:
            return None
        window = self._window(scaled[0], x)
        return None if window is None else LocalResponse(*window, scaled[1], power[1], total[1])

    def _beside(self, var: Any, name: str) -> tuple[Any, float] | None:
        """(other operand, number) of a call of `name` with a number; of a power the exponent."""
        call = self.value_of(var)
        if op_name(call) != name:
            return None
        for at in (1,) if name == "relax.power" else (1, 0):
            other, number = call.args[1 - at], call.args[at]
            if is_constant(number) and not is_constant(other) and constant_array(number).size == 1:
                return other, float(constant_array(number).item())
        return None

    def _window(self, var: Any, x: Any) -> tuple[int, int] | None:
        """(size, how many in front) of the channels that an average3d is over, if it is of x * x."""
        pool = self._viewed(var)
        if op_name(pool) != "relax.nn.avg_pool3d" or str(pool.attrs.layout) != "NCDHW":
            return None
        attrs = pool.attrs
        size, *rest = (int(extent) for extent in attrs.pool_size)
        before, *others = (int(border) for border in attrs.padding)
        after = others.pop(2)
        source: Any = self.value_of(pool.args[0])
        if op_name(source) == "relax.nn.pad" and str(source.attrs.pad_mode) == "constant":
            widths = [int(width) for width in source.attrs.pad_width]
            before, after = before + widths[4], after + widths[5]
            others += [*widths[:4], *widths[6:]]
            source = self.value_of(source.args[0]) if float(source.attrs.pad_value) == 0 else None
        squares = self._viewed(source)
        is_plain = rest == [1, 1] and not any(others) and before + after == size - 1
        is_plain &= all(int(step) == 1 for step in (*attrs.strides, *attrs.dilation))
        is_plain &= bool(attrs.count_include_pad) or not before + after
        is_square = op_name(squares) == "relax.multiply" and all(arg.same_as(x) for arg in squares.args)
        return (size, before) if is_plain and is_square else None

    def _viewed(self, expr: Any) -> Any:
        """What is behind reshapes."""
        call = self.value_of(expr)
        while op_name(call) == "relax.reshape":
            call = self.value_of(call.args[0])
        return call
