"""Writes products of two activations so that the second one is transposed where it is read, and nowhere else.

What is transposed then has rows of the numbers that are multiplied and summed, which vectors run along, as
in the first one. A transposition that is left over, as of attention's values, follows the layer that makes
them, before their channels are split into heads: that layer can store its result so.
"""

from __future__ import annotations

from math import prod
from typing import Any

from tvm import relax

from tvm_vsq.frontend.permutes import order_of
from tvm_vsq.graph import Rebuilder, bindings, is_constant, op_name, replace_main, static_shape
from tvm_vsq.network import source_of
from tvm_vsq.tvm_compat import Call, IRModule, Var

_ROWS = 3
"""Axes of what a layer gives that can store its result transposed: images, rows, channels."""


def transpose_second_operands(module: IRModule) -> IRModule:
    """`module`, where operand 1 of each product of two activations is a permute_dims of the last two axes."""
    return replace_main(module, _Transpose(module["main"]).run())


class _Transpose(Rebuilder):
    def run(self) -> relax.Function:
        """Rebuild the function."""
        self._columns: dict[Any, Any] = {}
        self._operands = {b.value.args[1] for b in bindings(self.old) if _is_product(b.value)}
        return super().run()

    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) == "relax.permute_dims" and var not in self._operands:
            turned = self._turned(value.args[0], order_of(value))
            return value if turned is None else turned
        if not _is_product(value):
            return value
        x, other = value.args
        rank = len(static_shape(other))
        exchange = [*range(rank - 2), rank - 1, rank - 2]
        rows = self._permuted(other, exchange)
        return Call(value.op, [x, self.emit(relax.op.permute_dims(rows, exchange))], value.attrs)

    def _permuted(self, x: Var, order: list[int]) -> Any:
        """`x` with its axes in another order, in as few steps as there are."""
        call = self.value_of(x)
        if op_name(call) == "relax.permute_dims":
            inner = order_of(call)
            return self._permuted(call.args[0], [inner[axis] for axis in order])
        if order == list(range(len(order))):
            return x
        turned = self._turned(x, order)
        return self.emit(relax.op.permute_dims(x, order)) if turned is None else turned

    def _before_constants(self, x: Any) -> Any:
        """The call that gives `x`, but for a bias or factor behind it."""
        call: Any = self.value_of(x)
        while op_name(call) in ("relax.add", "relax.multiply", "relax.divide"):
            operands = [arg for arg in call.args if not is_constant(arg)]
            if len(operands) != 1:
                return call
            call = self.value_of(operands[0])
        return call

    def _turned(self, x: Any, order: list[int]) -> Any:
        """`x`, a view of what a layer gives that can store it transposed, in an order of axes in which rows
        are last: made from that; None if it is something else.
        """
        call: Any = self.value_of(x)
        if op_name(call) != "relax.reshape":
            return None
        whole, split = call.args[0], static_shape(x)
        filled = _filled_rows(self.value_of(whole))
        made_of = whole if filled is None else filled
        maker = source_of(self._before_constants(made_of))
        found = parts_of(static_shape(whole), split)
        if maker is None or not maker.transposes or found is None:
            return None
        batch, length, channels = found
        if not length and split[order[-1]] == 1:
            length = [order[-1]]  # of one row
        kept = [axis for axis in order if split[axis] > 1 or axis in length]
        if not length or kept[-1] != length[-1]:
            return None
        if whole not in self._columns:
            columns = self.emit(relax.op.permute_dims(made_of, [0, 2, 1]))
            missing = static_shape(whole)[1] - static_shape(made_of)[1]
            if missing:
                columns = self.emit(relax.op.nn.pad(columns, [0, 0, 0, 0, 0, missing]))
            self._columns[whole] = columns
        made = [*batch, *channels, *length]
        result = self.emit(relax.op.reshape(self._columns[whole], [split[axis] for axis in made]))
        if kept != made:
            result = self.emit(relax.op.permute_dims(result, [made.index(axis) for axis in kept]))
        shape = [split[axis] for axis in order]
        return result if list(static_shape(result)) == shape else self.emit(relax.op.reshape(result, shape))


def _is_product(call: Any) -> bool:
    source = source_of(call)
    return source is not None and source.other_is_transposed


def _filled_rows(call: Any) -> Any:
    """Of a tensor [B, L, C] with rows of zeros behind others, these others; None if it is something else."""
    if op_name(call) != "relax.nn.pad" or len(static_shape(call)) != _ROWS:
        return None
    is_zero = str(call.attrs.pad_mode) == "constant" and float(call.attrs.pad_value) == 0
    before, widths = 2, [int(width) for width in call.attrs.pad_width]
    is_behind = not any(width for place, width in enumerate(widths) if place != before + 1)
    return call.args[0] if is_zero and is_behind else None


def parts_of(whole: tuple[int, ...], split: tuple[int, ...]) -> tuple[list[int], list[int], list[int]] | None:
    """The axes of `split`, a view of `whole` [B, L, C], that images, rows, and channels have become, without
    axes of one; None where that is not so, or there are no channels.
    """
    if len(whole) != _ROWS or whole[2] == 1:
        return None
    axes = [axis for axis, extent in enumerate(split) if extent > 1]
    batch = _covering(split, axes, whole[0])
    length = None if batch is None else _covering(split, axes[len(batch) :], whole[1])
    if batch is None or length is None:
        return None
    return batch, length, axes[len(batch) + len(length) :]


def _covering(split: tuple[int, ...], axes: list[int], count: int) -> list[int] | None:
    """The first of `axes`, which hold `count` places together."""
    for number in range(len(axes) + 1):
        if prod(split[axis] for axis in axes[:number]) == count:
            return axes[:number]
    return None
