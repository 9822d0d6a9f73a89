"""Gives shifts and bounds that follow no layer one of their own, behind a concatenation for example.

They go into the post-processing of a maximum pool of single pixels, which changes nothing. Factors of
channels are depthwise convolutions by then (`frontend.scales`).
"""

from __future__ import annotations

from math import prod
from typing import Any

from tvm import relax

from tvm_vsq.frontend.pools import identity_pool
from tvm_vsq.graph import (
    definitions,
    is_constant,
    op_name,
    static_shape,
    tensors,
)
from tvm_vsq.layers.chains import planned_chains
from tvm_vsq.layers.rows import rows_read
from tvm_vsq.network import facts_of, source_of
from tvm_vsq.network.names import between
from tvm_vsq.network.rebuild import FinalRebuilder
from tvm_vsq.tvm_compat import Call, IRModule, Var


def give_own_layers(module: IRModule) -> IRModule:
    """`module` with such layers between others; what is in front of the first, or behind the last, stays."""
    return _OwnLayers(module).rebuilt()


class _OwnLayers(FinalRebuilder):
    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        function = module["main"]
        values = definitions(function)
        anchors = [var for var in self.names if _is_layer(values[var])]
        self._taken_along = _members(function, anchors)
        self._between = between(function, set(anchors))
        self._of_rows = {
            value.args[0]
            for value in values.values()
            if _has_rows(value) and rows_read(function, value, self._taken_along)[1] is not None
        }

    def _is_alone(self, var: Var) -> bool:
        is_tensor = isinstance(var.ty, relax.TensorType) and len(var.ty.shape) > 1
        return is_tensor and var in self._between and var not in self._taken_along | self._of_rows

    def rewrite(self, var: Var, value: Any) -> Any:
        if not self._is_alone(var):
            return value
        is_shift = op_name(value) == "relax.add" and any(map(is_constant, value.args))
        if not is_shift and facts_of(value).clamp(value) is None:
            return value
        operands = [arg for arg in value.args if isinstance(arg, Var)]
        if len(operands) != 1 or static_shape(operands[0]) != static_shape(var):
            return value
        return Call(
            value.op,
            [pixels(self, arg) if arg in operands else arg for arg in value.args],
            value.attrs,
        )


def pixels(rebuilder: FinalRebuilder, x: Var, name: str = "copy") -> Any:
    """A layer that gives `x` as it is, of any rank with the channels last: a pool of single pixels."""
    shape = static_shape(x)
    if len(shape) == 4:
        return rebuilder.add(identity_pool(x), name)
    image = rebuilder.emit(relax.op.reshape(x, _as_image(shape)))
    return rebuilder.emit(relax.op.reshape(rebuilder.add(identity_pool(image), name), list(shape)))


def _as_image(shape: tuple[int, ...]) -> list[int]:
    """[n, h, w, c], in which as few axes as possible are joined: those of a part may be no single one."""
    axes = [extent for extent in shape[:-1] if extent > 1]
    joined = [prod(axes[: len(axes) - 2]), *axes[-2:]] if len(axes) > 3 else axes
    return [*[1] * (3 - len(joined)), *joined, shape[-1]]


def _is_layer(value: Any) -> bool:
    source = source_of(value)
    return source is not None and not source.refusal(value, source.has_constant_weights(value))


def _has_rows(value: Any) -> bool:
    source = source_of(value)
    return source is not None and source.rows is not None


def _members(function: relax.Function, anchors: list[Var]) -> set[Var]:
    """All that layers take along."""
    values = definitions(function)
    found: set[Var] = set()
    for chain in planned_chains(function, anchors):
        pending = [chain.output]
        while pending:
            member = pending.pop()
            if member in found or member == chain.residual:
                continue
            found.add(member)
            if member != chain.anchor:
                pending += [x for x in tensors(values[member]) if isinstance(x, Var) and x in values]
    return found
