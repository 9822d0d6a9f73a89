"""Parametric ReLUs, whose slopes below 0 differ from channel to channel, as sums of two scaled tensors.

With slopes a of at most 1, max(x, 0) + a * min(x, 0) = a * x + max((1 - a) * x, 0) (He et al., "Delving Deep
into Rectifiers", ICCV 2015, equation 1). Factors of channels become layers (`frontend.scales`), which bounds
and sums go into; one slope for all channels is a leaky ReLU.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from tvm import relax

from tvm_vsq.graph import (
    Rebuilder,
    constant,
    constant_array,
    is_constant,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.tvm_compat import Call, IRModule, Var

Array = npt.NDArray[Any]


def prelus_to_sums(module: IRModule) -> IRModule:
    """ONNX's PRelu and what torch makes of its own, with constant slopes; slopes above 1 stay as they are."""
    return replace_main(module, _PrelusToSums(module["main"]).run())


class _PrelusToSums(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        x, slopes = self._found(value)
        if x is None or slopes is None or slopes.size == 0 or slopes.max() > 1:
            return value
        if (slopes == slopes.flat[0]).all():
            return relax.op.nn.leakyrelu(x, float(slopes.flat[0]))
        above = self.emit(relax.op.nn.relu(self.emit(relax.op.multiply(x, constant(1 - slopes)))))
        return relax.op.add(self.emit(relax.op.multiply(x, constant(slopes))), above)

    def _found(self, value: Any) -> tuple[Any, Array | None]:
        """What a parametric ReLU is of, and its slopes, which broadcast; (None, None) for anything else."""
        if op_name(value) == "relax.nn.prelu" and is_constant(value.args[1]):
            x = value.args[0]
            rank = len(static_shape(x))
            shape = [1] * rank
            shape[int(value.attrs.axis) % rank] = -1
            return x, constant_array(value.args[1]).reshape(shape)
        if op_name(value) != "relax.where":
            return None, None
        compared, scaled = self.value_of(value.args[0]), self.value_of(value.args[2])
        if op_name(compared) != "relax.greater" or op_name(scaled) != "relax.multiply":
            return None, None
        x = value.args[1]
        slopes = next(filter(is_constant, scaled.args), None)
        is_of_x = isinstance(x, Var) and x.same_as(compared.args[0]) and any(map(x.same_as, scaled.args))
        if slopes is None or not is_of_x or not _is_zero(compared):
            return None, None
        array = constant_array(slopes)
        # a single slope is among the functions that are looked up, however it is written
        return (x, array) if array.size > 1 else (None, None)


def _is_zero(compared: Call) -> bool:
    bound = compared.args[1]
    return is_constant(bound) and not constant_array(bound).any()
