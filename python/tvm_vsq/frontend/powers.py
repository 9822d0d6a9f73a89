"""Whole powers as products, which torch and ONNX's runtimes compute as such, and TVM warns of."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_vsq.graph import (
    Rebuilder,
    constant_array,
    dtype_of,
    is_constant,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.tvm_compat import IRModule, Var

_LARGEST = 8


def powers_to_products(module: IRModule) -> IRModule:
    """`power(x, n)` of floats, for a whole number n of 3 to 8, becomes products of x and its squares."""
    return replace_main(module, _Powers(module["main"]).run())


class _Powers(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.power" or not is_constant(value.args[1]):
            return value
        x, exponents = value.args[0], constant_array(value.args[1])
        number = float(exponents.reshape(-1)[0])
        if (exponents != number).any() or number not in range(3, _LARGEST + 1):
            return value
        if not dtype_of(x).startswith("float") or static_shape(x) != static_shape(var):
            return value
        return self._power(x, int(number))

    def _power(self, x: Any, exponent: int) -> Any:
        """From the highest bit of the exponent down: square, and times x where the bit is 1."""
        result = x
        for bit in f"{exponent:b}"[1:]:
            result = self.emit(relax.op.multiply(result, result))
            result = self.emit(relax.op.multiply(result, x)) if bit == "1" else result
        return result
