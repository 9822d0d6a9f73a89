"""Linear layers that attention reads, of the rows of each image, [B, L, C], however these came in.

Behind an embedding, or in a model that takes them so, all rows are one axis, [rows, C]; pixels have two. The
layers compute the same on either, but one stores its result transposed only for each image by itself.
"""

from __future__ import annotations

from math import prod
from typing import Any

from tvm import relax

from tvm_vsq.frontend.images_first import is_of_channels
from tvm_vsq.frontend.second_operands import parts_of
from tvm_vsq.graph import definitions, is_constant, op_name, static_shape
from tvm_vsq.network import LayerRebuilder
from tvm_vsq.tvm_compat import Call, IRModule, Var


def rows_of_images(module: IRModule) -> IRModule:
    """`reshape(linear(x))` that a product of two activations reads, where it splits rows of `x` into images
    and rows, and channels into heads, becomes `reshape(linear(reshape(x)))` of a reshaped `x`, [B, L, C].

    All linear layers on this `x` read the same then. A bias and operators on each element may be in between.
    """
    return _RowsOfImages(module).rebuilt()


class _RowsOfImages(LayerRebuilder):
    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        self._calls: Any = definitions(module["main"])
        self._rows: dict[Var, tuple[int, int]] = {}
        self._raised: dict[Any, Any] = {}
        for value in self._calls.values():
            if op_name(value) == "relax.matmul" and not any(map(is_constant, value.args)):
                for operand in value.args:
                    self._look_at(operand)

    def _look_at(self, x: Any) -> None:
        """Note the rows that the layer behind `x`, an operand of a product, has to read; if it does not."""
        call = self._calls.get(x)
        while op_name(call) == "relax.permute_dims":
            x = call.args[0]
            call = self._calls.get(x)
        if op_name(call) != "relax.reshape":
            return
        whole, split = static_shape(call.args[0]), static_shape(x)
        rows = _images_and_rows(split, whole[-1])
        if rows is None or parts_of(whole, split) is not None:
            return
        x = call.args[0]
        while x in self._calls and not _is_linear(call := self._calls[x]):
            if not is_of_channels(call, x):
                return
            x = next(arg for arg in call.args if not is_constant(arg))
        if x in self._calls:
            self._rows.setdefault(self._calls[x].args[0], rows)

    def rewrite(self, var: Var, value: Any) -> Any:
        if not isinstance(value, Call) or not value.args:
            return value
        old = self._calls[var]
        if _is_linear(value) and old.args[0] in self._rows:
            x = self._of_rows(value.args[0], self._rows[old.args[0]])
            layer = self.layer(Call(value.op, [x, value.args[1]], value.attrs), self.name_of(var))
            return self._viewed(layer, var)
        if op_name(value) == "relax.reshape" and value.args[0] in self._raised:
            return relax.op.reshape(self._raised[value.args[0]], static_shape(var))
        raised = [self._raised.get(arg, arg) for arg in value.args]
        if raised != [*value.args] and is_of_channels(value, var):
            return self._viewed(self.emit(Call(value.op, raised, value.attrs)), var)
        return value

    def _of_rows(self, x: Any, rows: tuple[int, int]) -> Any:
        if x not in self._raised:
            self._raised[x] = self.emit(relax.op.reshape(x, [*rows, static_shape(x)[-1]]))
        return self._raised[x]

    def _viewed(self, raised: Var, var: Var) -> Any:
        """`raised` in the shape of `var`, for whoever does not read it as it is."""
        x = self.emit(relax.op.reshape(raised, static_shape(var)))
        self._raised[x] = raised
        return x


def _images_and_rows(split: tuple[int, ...], channels: int) -> tuple[int, int] | None:
    """Of [B, L, ...] or [L, ...], where the rest has so many channels: B, L."""
    if prod(split[2:]) == channels:
        return split[0], split[1]
    return (1, split[0]) if prod(split[1:]) == channels else None


def _is_linear(call: Any) -> bool:
    is_on_weights = op_name(call) == "relax.matmul" and is_constant(call.args[1])
    return is_on_weights and len(static_shape(call.args[1])) == 2 and isinstance(call.args[0], Var)
