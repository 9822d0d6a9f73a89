"""Moves reshapes that flatten leading axes past linear layers, so that neighbouring layers meet."""

from __future__ import annotations

from math import prod
from typing import Any

from tvm import relax

from tvm_vsq.graph import (
    Rebuilder,
    bindings,
    constant,
    constant_array,
    is_constant,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.network import facts_of
from tvm_vsq.network.rotation import NAME as ROTATE
from tvm_vsq.network.source import becomes_weighted, is_on_each_row
from tvm_vsq.tvm_compat import Call, IRModule, Var


def sink_reshapes(module: IRModule) -> IRModule:
    """`op(reshape(x))` becomes `reshape(op(x))` where the reshape keeps the last axis.

    So what drops the axes of a pooled image goes behind the linear layers, which then read the pool's result.
    TVM's importer flattens [B, T, C] to [B*T, C] around every linear layer; afterwards the layers of an MLP
    follow each other directly, and the reshapes that cancel are gone. What is added to such a layer's result
    is reshaped instead of that, and reshapes go behind norms, unless rows are turned by where they are in
    their image (rotary embeddings).
    """
    return replace_main(module, _SinkReshapes(module["main"]).run())


class _SinkReshapes(Rebuilder):
    def __init__(self, function: relax.Function) -> None:
        super().__init__(function)
        self._keeps_images = any(op_name(binding.value) == ROTATE for binding in bindings(function))

    def rewrite(self, var: Var, value: Any) -> Any:
        name = op_name(value)
        if name == "relax.reshape":
            return self._merge(value)
        if not facts_of(value).elementwise and name != "relax.matmul" and not self._is_on_each_row(value):
            return value
        inner = [self._before_reshape(arg) for arg in value.args]
        moved = self._operands(name, value, inner)
        if moved is None:
            return value
        result = self.emit(Call(value.op, moved, value.attrs))
        return relax.op.reshape(result, static_shape(var))

    def _operands(self, name: str, value: Call, inner: list[Any]) -> list[Any] | None:
        """Operands with the reshape removed, or None if it cannot move past this call."""
        if facts_of(value).elementwise == 1 or self._is_on_each_row(value):
            return None if inner[0] is None else [inner[0], *value.args[1:]]
        if name == "relax.matmul":
            weight = value.args[1]
            is_linear = is_constant(weight) and len(weight.ty.shape) == 2
            return [inner[0], weight] if is_linear and inner[0] is not None else None
        sources = [source for source in inner if source is not None]
        if len(sources) == 2 and static_shape(sources[0]) == static_shape(sources[1]):
            return sources if static_shape(value.args[0]) == static_shape(value.args[1]) else None
        if len(sources) == 1:
            vector = _vector(value.args[0] if inner[0] is None else value.args[1])
            if vector is not None:
                return [vector if source is None else source for source in inner]
        return self._beside_layer(value, inner)

    def _beside_layer(self, value: Call, inner: list[Any]) -> list[Any] | None:
        """Operands of a sum with the reshape of a layer's result removed, and the other one in its shape."""
        for place, source in enumerate(inner):
            other = value.args[1 - place] if inner[1 - place] is None else inner[1 - place]
            if source is not None and self._is_residual(other, source, value):
                viewed = self.emit(relax.op.reshape(other, static_shape(source)))
                return [source, viewed] if place == 0 else [viewed, source]
        return None

    def _is_on_each_row(self, value: Any) -> bool:
        return not self._keeps_images and is_on_each_row(value)

    def _is_residual(self, other: Any, source: Any, value: Call) -> bool:
        """Whether `other` is added to the result of a linear layer, and is none itself."""
        if op_name(value) != "relax.add" or not isinstance(other, Var) or self._keeps_images:
            return False
        same = static_shape(value.args[0]) == static_shape(value.args[1])
        return same and self._is_of_layer(source) and not self._is_of_layer(other)

    def _is_of_layer(self, x: Any) -> bool:
        """Whether `x` is what a layer with weights gives, with a bias and operators on each element."""
        call: Any = self.value_of(x)
        while facts_of(call).elementwise:
            operands = [arg for arg in call.args if not is_constant(arg)]
            if facts_of(call).elementwise > 1 and len(operands) != 1:
                return False
            call = self.value_of(operands[0])
        return becomes_weighted(call)

    def _before_reshape(self, arg: Any) -> Any:
        """What `arg` reshapes, if the reshape keeps the last axis and at least two axes; else None."""
        call = self.value_of(arg)
        if op_name(call) != "relax.reshape":
            return None
        before, after = static_shape(call.args[0]), static_shape(arg)
        return call.args[0] if min(len(before), len(after)) >= 2 and before[-1] == after[-1] else None

    def _merge(self, value: Call) -> Any:
        """A reshape of a reshape is one, but for what joins channels first, and then rows, which can sink; a
        reshape to the same shape is none.
        """
        source = self.value_of(value.args[0])
        target = tuple(int(extent) for extent in value.args[1])
        x = value.args[0]
        if op_name(source) == "relax.reshape":
            joined, before = static_shape(x), static_shape(source.args[0])
            is_joined = joined[-1:] == target[-1:] > before[-1:]
            is_flattened = is_joined and 1 < len(target) < len(joined)
            x = x if is_flattened and before != target else source.args[0]
        return x if static_shape(x) == target else relax.op.reshape(x, target)


def _vector(x: Any) -> Any:
    """A constant number, or one along the last axis alone, of at most one axis: only these broadcast the same
    before and after; None for anything else.
    """
    if not is_constant(x) or len(x.ty.shape) <= 1:
        return x if is_constant(x) else None
    return constant(constant_array(x).reshape(-1)) if prod(static_shape(x)[:-1]) == 1 else None
