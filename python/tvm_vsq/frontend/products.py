"""Products of two activations on tensors as the model has them, [B, heads, L, d], and scaled once."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.frontend.permutes import order_of
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


def products_of_activations(module: IRModule) -> IRModule:
    """A matmul of activations over joined axes, [B * heads, L, d], becomes one over the axes apart, and
    numbers that its operands are multiplied with, a factor of its result.

    A constant mask of zeros in front of a softmax is gone.

    Exporters join axes for batched products, and take the root of attention's scale to both operands.
    Views must be reshapes by now.
    """
    return replace_main(module, _Products(module["main"]).run())


class _Products(Rebuilder):
    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        if name == "relax.reshape":
            return self._merged(value)
        if name == "relax.nn.softmax":
            return self._softmax(value, static_shape(var))
        if name == "relax.add":
            return self._masked(value, static_shape(var))
        if name != "relax.matmul" or any(is_constant(arg) for arg in value.args):
            return value
        operands, factor = [], 1.0
        for arg in value.args:
            unscaled, own = self._unscaled(arg)
            operands.append(unscaled)
            factor *= own
        operands = self._apart(operands) or self._split(operands) or operands
        product = Call(value.op, operands, value.attrs)
        shape = static_shape(var)
        if factor != 1.0:
            product = relax.op.multiply(self.emit(product), constant(np.array(factor, np.float32)))
        if all(a.same_as(b) for a, b in zip(operands, value.args, strict=True)):
            return value
        emitted = self.emit(product)
        return emitted if static_shape(emitted) == shape else relax.op.reshape(emitted, shape)

    def _unscaled(self, x: Any) -> tuple[Any, float]:
        """What `x` is without a number that it is multiplied with, if through moves; and the number."""
        call: Any = self.value_of(x)
        name = op_name(call)
        if name in ("relax.multiply", "relax.divide"):
            operands = list(call.args)
            for operand, number in (operands, operands[::-1]):
                if not (is_constant(number) and constant_array(number).size == 1) or is_constant(operand):
                    continue
                if len(number.ty.shape) > len(operand.ty.shape):
                    continue
                factor = float(constant_array(number).item())
                if name == "relax.divide" and (factor == 0 or number is operands[0]):
                    continue
                inner, more = self._unscaled(operand)
                return inner, more * (1 / factor if name == "relax.divide" else factor)
        if name in ("relax.reshape", "relax.permute_dims"):
            inner, factor = self._unscaled(call.args[0])
            if factor != 1.0:
                return self.emit(Call(call.op, [inner, *call.args[1:]], call.attrs)), factor
        return x, 1.0

    def _apart(self, operands: list[Any]) -> list[Any] | None:
        """The operands before their leading axes were joined, if that are the same ones; else None."""
        sources = []
        for x in operands:
            call: Any = self.value_of(x)
            if op_name(call) != "relax.reshape" or static_shape(call.args[0])[-2:] != static_shape(x)[-2:]:
                return None
            sources.append(call.args[0])
        leading = [static_shape(source)[:-2] for source in sources]
        is_more = len(leading[0]) > len(operands[0].ty.shape) - 2
        return sources if leading[0] == leading[1] and is_more else None

    def _split(self, operands: list[Any]) -> list[Any] | None:
        """Operands [B * heads, L, d], whose heads were joined to B right where channels were split, as
        [B, heads, L, d]; None if they are something else.
        """
        shapes = [static_shape(x) for x in operands]
        if {len(shape) for shape in shapes} != {_STACK} or shapes[0][0] != shapes[1][0]:
            return None
        images = {found for x in operands if (found := self._images(x)) is not None}
        if len(images) != 1:
            return None
        leading = [*images, shapes[0][0] // next(iter(images))]
        return [self._reshaped(x, [*leading, *shape[1:]]) for x, shape in zip(operands, shapes, strict=True)]

    def _images(self, x: Any) -> int | None:
        """Of how many images the leading axis of `x` has the heads; None if that is nothing but images."""
        stack, *_, channels = static_shape(x)
        fewest = 2
        call: Any = self.value_of(x)
        while op_name(call) in _VIEWS:
            source = static_shape(call.args[0])
            if len(source) > _STACK and source[0] * source[1] == stack and source[2:] == static_shape(x)[1:]:
                return source[0]
            if op_name(call) == "relax.permute_dims" and order_of(call)[0] != 0:
                fewest = 1  # even so, images were not the first axis
            call = self.value_of(call.args[0])
            heads, rest = divmod(source[-1], channels)
            if op_name(call) not in _VIEWS and heads >= fewest and rest == stack % heads == 0:
                return stack // heads
        return None

    def _masked(self, value: Call, shape: tuple[int, ...]) -> Any:
        """What is added to scores, in front of a reshape that joins their heads to images."""
        for x, mask in (list(value.args), list(value.args)[::-1]):
            call: Any = self.value_of(x)
            if op_name(call) != "relax.reshape" or shape != static_shape(x) or len(shape) != _STACK:
                continue
            scores, added = call.args[0], static_shape(mask)
            apart = static_shape(scores)
            if apart[2:] != shape[1:] or op_name(self.value_of(scores)) not in _RESULTS:
                continue
            if len(added) == _STACK:
                leading = apart[:2] if added[0] == shape[0] else (1, 1)
                mask = self._reshaped(mask, [*leading, *added[1:]])
            return relax.op.reshape(self.emit(relax.op.add(scores, mask)), shape)
        return value

    def _reshaped(self, x: Any, shape: list[int]) -> Any:
        """`x` in this shape, which may be the one it had."""
        if is_constant(x):
            return constant(constant_array(x).reshape(shape))
        call: Any = self.value_of(x)
        if op_name(call) == "relax.reshape" and list(static_shape(call.args[0])) == shape:
            return call.args[0]
        return self.emit(relax.op.reshape(x, shape))

    def _turned(self, value: Call) -> Call | None:
        """A reshape that takes joined axes apart again, behind a permute of the last two, as a permute."""
        permute: Any = self.value_of(value.args[0])
        if op_name(permute) != "relax.permute_dims" or len(permute.args[0].ty.shape) != 3:
            return None
        joined: Any = self.value_of(permute.args[0])
        if op_name(joined) != "relax.reshape" or [int(n) for n in permute.attrs.axes or ()] != [0, 2, 1]:
            return None
        x, shape = joined.args[0], [int(extent) for extent in value.args[1]]
        *leading, rows, columns = static_shape(x)
        if shape != [*leading, columns, rows]:
            return None
        if static_shape(permute.args[0])[1:] != (rows, columns):
            return None
        axes = list(range(len(shape)))
        return relax.op.permute_dims(x, [*axes[:-2], axes[-1], axes[-2]])

    def _softmax(self, value: Call, shape: tuple[int, ...]) -> Any:
        """Over the last axis, which is -1 from now on, in front of a reshape that keeps it."""
        x, axis = value.args[0], int(value.attrs.axis)
        if axis not in (-1, len(shape) - 1):
            return value
        call: Any = self.value_of(x)
        if op_name(call) == "relax.add" and _is_nothing(call.args[1]) and static_shape(call.args[0]) == shape:
            x = call.args[0]
            call = self.value_of(x)
        if op_name(call) == "relax.reshape" and static_shape(call.args[0])[-1:] == shape[-1:]:
            return relax.op.reshape(self.emit(relax.op.nn.softmax(call.args[0], -1)), shape)
        return relax.op.nn.softmax(x, -1)

    def _merged(self, value: Call) -> Any:
        """A reshape of a result of this pass, to the shape that it has, is none."""
        turned = self._turned(value)
        if turned is not None:
            return turned
        source: Any = self.value_of(value.args[0])
        x = value.args[0]
        if op_name(source) == "relax.reshape" and op_name(self.value_of(source.args[0])) in _RESULTS:
            x = source.args[0]
        target = [int(extent) for extent in value.args[1]]
        return x if list(static_shape(x)) == target else relax.op.reshape(x, target)


_RESULTS = ("relax.add", "relax.matmul", "relax.multiply", "relax.nn.softmax")
_VIEWS = ("relax.reshape", "relax.permute_dims")
_STACK = 3
"""Axes of matrices of which images and heads are one."""


def _is_nothing(mask: Any) -> bool:
    """Whether a constant mask lets everything through."""
    return is_constant(mask) and not constant_array(mask).any()
