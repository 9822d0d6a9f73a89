"""Views and permutes before and behind products of attention, in as few steps as there are.

torch's multi-head attention joins images and heads, exchanges axes and takes them apart again; other models
split, exchange and are done. Whatever the way, channels are split into heads by one reshape, which one
permute follows; and of a result, the channels are joined before images and rows are exchanged or joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.frontend.permutes import order_of
from tvm_vsq.graph import Rebuilder, is_constant, op_name, replace_main, static_shape
from tvm_vsq.network import facts_of
from tvm_vsq.tvm_compat import Call, IRModule, Var

Array = npt.NDArray[np.int64]


def views_of_products(module: IRModule) -> IRModule:
    """What each product of two stacks of matrices [N, heads, L, d] reads, and what is made of its result,
    with such views alone, where these give the same: of [N, L, C] or [L, N, C], and to one of the two.
    """
    return replace_main(module, _ViewsOfProducts(module["main"]).run())


class _ViewsOfProducts(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        if _is_product(value):
            return Call(value.op, [self._operand(x) for x in value.args], value.attrs)
        if op_name(value) not in _VIEWS:
            return value
        root, steps = self._chain(value.args[0])
        product = self._product_of(root)
        if not steps or product is None:
            return value
        return self._result(root, product, [*steps, value], static_shape(var))

    def _operand(self, x: Any) -> Any:
        """`x`, [N, heads, L, d] or with the last two axes exchanged, as a permute of what a reshape split."""
        root, steps = self._chain(x)
        shape, given = static_shape(x), self._before_flattening(root)
        if len(steps) < len(_VIEWS) or len(given) not in (2, 3):
            return x
        wanted = _moved(static_shape(root), steps)
        for order in _FROM_CHANNELS:
            split = [shape[order.index(axis)] for axis in range(len(order))]
            whole = [*split[:2], split[2] * split[3]]
            if len(given) == len(whole) and list(given) != whole:
                continue
            if np.array_equal(np.arange(prod(split)).reshape(split).transpose(order), wanted):
                of = self._shaped(self._shaped(root, whole), split)
                return self.emit(relax.op.permute_dims(of, list(order)))
        return x

    def _before_flattening(self, x: Any) -> tuple[int, ...]:
        """The shape of `x`; of a linear layer's [rows, C], with rows as they were before they were joined."""
        shape, call = static_shape(x), self.value_of(x)
        while facts_of(call).elementwise and (tensors := [arg for arg in call.args if not is_constant(arg)]):
            call = self.value_of(tensors[0])
        joined: Any = self.value_of(call.args[0]) if op_name(call) == "relax.matmul" else None
        leading = static_shape(joined.args[0])[:-1] if op_name(joined) == "relax.reshape" else ()
        return (*leading, shape[-1]) if len(shape) == 2 and prod(leading) == shape[0] else shape

    def _product_of(self, x: Any) -> Any:
        """The product that `x` is made of, element by element: rows that a mask closes may be zeros."""
        call: Any = self.value_of(x)
        if op_name(call) == "relax.where" or facts_of(call).elementwise:
            return next((found for arg in call.args if (found := self._product_of(arg)) is not None), None)
        return call if _is_product(call) else None

    def _result(self, root: Var, product: Any, steps: list[Call], shape: tuple[int, ...]) -> Any:
        """What the last of `steps` makes of a product, if that joins heads to channels."""
        if len(static_shape(root)) != len(_TO_CHANNELS[0]):
            return steps[-1]
        images, heads, rows, channels = static_shape(root)
        if shape[-1] != heads * channels:
            return steps[-1]
        wanted = _moved(static_shape(root), steps).reshape(-1)
        numbers = np.arange(wanted.size).reshape(images, heads, rows, channels)
        fitting = [
            order for order in _TO_CHANNELS if np.array_equal(numbers.transpose(order).reshape(-1), wanted)
        ]
        if not fitting:
            return steps[-1]
        # of one image or one row it fits both ways: as the values came in
        values: Any = self.value_of(product.args[1])
        came_rows_first = op_name(values) == "relax.permute_dims" and order_of(values)[0] == 1
        x: Any = self.emit(relax.op.permute_dims(root, [0, 2, 1, 3]))
        x = self.emit(relax.op.reshape(x, [images, rows, heads * channels]))
        if fitting[-1 if came_rows_first else 0] == _TO_CHANNELS[1]:
            x = self.emit(relax.op.permute_dims(x, [1, 0, 2]))
        return self._shaped(x, shape)

    def _chain(self, x: Any) -> tuple[Any, list[Call]]:
        """What `x` is a view of, and the views from there to `x`."""
        steps: list[Call] = []
        while op_name(call := self.value_of(x)) in _VIEWS:
            steps.append(call)
            x = call.args[0]
        return x, steps[::-1]

    def _shaped(self, x: Any, shape: Sequence[int]) -> Any:
        return x if static_shape(x) == tuple(shape) else self.emit(relax.op.reshape(x, list(shape)))


_VIEWS = ("relax.reshape", "relax.permute_dims")

_FROM_CHANNELS = ((0, 2, 1, 3), (1, 2, 0, 3), (0, 2, 3, 1), (1, 2, 3, 0))
"""From [N, L, heads, d] or [L, N, heads, d] to [N, heads, L, d], and to what the second operand is."""

_TO_CHANNELS = ((0, 2, 1, 3), (2, 0, 1, 3))
"""From [N, heads, L, d] to [N, L, heads, d] and [L, N, heads, d]."""


def _is_product(value: Any) -> bool:
    if op_name(value) != "relax.matmul" or any(map(is_constant, value.args)):
        return False
    return all(len(static_shape(arg)) == len(_FROM_CHANNELS[0]) for arg in value.args)


def _moved(shape: Sequence[int], steps: Sequence[Call]) -> Array:
    """Where each element comes from, in a tensor of this shape."""
    found = np.arange(prod(shape)).reshape(tuple(shape))
    for step in steps:
        if op_name(step) == "relax.permute_dims":
            found = found.transpose(order_of(step))
        else:
            found = found.reshape([int(extent) for extent in step.args[1]])
    return found
