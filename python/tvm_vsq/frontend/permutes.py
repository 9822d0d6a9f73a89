"""A pass that inserts permute_dims, each one once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_vsq.graph import Rebuilder
from tvm_vsq.tvm_compat import Var


class PermutingRebuilder(Rebuilder):
    """A Rebuilder with `permute`; two layers that read one tensor then also share its layout change."""

    def __init__(self, function: relax.Function) -> None:
        super().__init__(function)
        self._permuted: dict[tuple[Var, tuple[int, ...]], Var] = {}

    def permute(self, x: Var, axes: Sequence[int]) -> Any:
        """permute_dims(x, axes) as a variable of the new function, or x if nothing moves."""
        if list(axes) == sorted(axes):
            return x
        key = (x, tuple(axes))
        if key not in self._permuted:
            self._permuted[key] = self.emit(relax.op.permute_dims(x, list(axes)))
        return self._permuted[key]


def order_of(call: Any) -> list[int]:
    """The axes of a permute_dims, one of which without axes turns them around."""
    rank, axes = len(call.args[0].ty.shape), call.attrs.axes
    return list(range(rank))[::-1] if axes is None else [int(axis) % rank for axis in axes]
