"""Linear layers on flattened images read them with the channels last: their weights change places instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.frontend.given import GivenWeights, given_weights, with_given_weights
from tvm_vsq.frontend.nhwc import TO_NCHW
from tvm_vsq.graph import (
    Rebuilder,
    constant,
    constant_array,
    is_constant,
    op_name,
    replace_main,
    static_shape,
)
from tvm_vsq.network import layer_names
from tvm_vsq.tvm_compat import Call, IRModule, Var


def flatten_channels_last(module: IRModule) -> IRModule:
    """`matmul(reshape(permute_dims(x)), W)`, NHWC to NCHW, is `matmul(reshape(x), W)` with W's rows moved.

    A layer whose integers came with the model stays if their scales are of neighbouring channels.
    """
    names = layer_names(module)
    given = given_weights(module)
    rebuilder = _FlattenChannelsLast(module["main"], {var: given.get(name) for var, name in names.items()})
    flat = replace_main(module, rebuilder.run())
    changed = {names[var]: weights for var, weights in rebuilder.permuted.items()}
    return with_given_weights(flat, given | changed) if changed else flat


class _FlattenChannelsLast(Rebuilder):
    """permuted: the integer weights that came with the model, of layers that changed, by old variable."""

    def __init__(self, function: relax.Function, given: Mapping[Var, GivenWeights | None]) -> None:
        super().__init__(function)
        self._given = given
        self.permuted: dict[Var, GivenWeights] = {}

    def rewrite(self, var: Var, value: Any) -> Any:
        if op_name(value) != "relax.matmul" or not is_constant(value.args[1]):
            return value
        reshape: Any = self.value_of(value.args[0])
        permute: Any = self.value_of(reshape.args[0]) if op_name(reshape) == "relax.reshape" else None
        if op_name(permute) != "relax.permute_dims" or [int(n) for n in permute.attrs.axes or ()] != TO_NCHW:
            return value
        images, flat = static_shape(permute.args[0]), static_shape(value.args[0])
        weights = constant_array(value.args[1])
        if flat != (images[0], int(np.prod(images[1:]))) or weights.ndim != 2:
            return value
        rows, columns, channels = images[1:]
        order = np.arange(flat[1]).reshape(channels, rows, columns).transpose(1, 2, 0).reshape(-1)
        given = self._given.get(var)
        if given is not None:
            if given.scales.shape[-1] != 1:
                return value
            self.permuted[var] = replace(given, elements=given.elements[:, order])
        x = self.emit(relax.op.reshape(permute.args[0], flat))
        return Call(value.op, [x, constant(weights[order])], value.attrs)
