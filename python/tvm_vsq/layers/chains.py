"""What a layer takes with it: the bias, residual and activation that follow it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_vsq.graph import (
    bindings,
    constant_array,
    count_uses,
    definitions,
    is_constant,
    leaves,
    op_name,
    static_shape,
)
from tvm_vsq.layers.functions import Function, FunctionFinder
from tvm_vsq.layers.guards import guarded_rows
from tvm_vsq.network import facts_of, source_of
from tvm_vsq.network.source import becomes_weighted
from tvm_vsq.tvm_compat import Var

_UNBOUNDED = (-inf, inf)


@dataclass(frozen=True)
class Chain:
    """One layer and its epilogue in a straight-line function; variables are those of that function.

    anchor: the layer itself. output: the last member, equal to the anchor if nothing follows. bias:
    float64[K], the sum of all constant adds. residual: the tensor added, in `residual_add` as operand
    `residual_operand`. relu: clamped at 0 from below. clip: upper bound, infinite if there is none. function:
    what is applied to the last member before those of `applied`, which compute it. scale: what the anchor is
    multiplied by, and `bias` includes. transposed: the last two axes are exchanged in the end. guarded:
    probabilities that have to be zeros in rows that are masked as a whole, since a member chooses zeros for
    what is made of them.
    """

    anchor: Var
    output: Var
    bias: npt.NDArray[np.float64]
    residual: Var | None = None
    residual_add: Var | None = None
    residual_operand: int = 0
    relu: bool = False
    clip: float = inf
    function: Function | None = None
    argument: Var | None = None
    applied: tuple[Var, ...] = ()
    scale: float = 1.0
    transposed: bool = False
    guarded: Var | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """(low, high): what the output is clamped to."""
        return (0.0 if self.relu else -inf), self.clip

    @classmethod
    def of(cls, anchor: Var) -> Chain:
        """The anchor alone."""
        return cls(anchor, anchor, np.zeros(static_shape(anchor)[-1]))


def find_chains(
    function: relax.Function, anchors: list[Var], may_add: Callable[[Var], bool]
) -> dict[Var, Chain]:
    """The chain of each anchor, by anchor in program order; an addition that another chain takes has none.

    may_add: whether a tensor can be the residual operand of a chain. When two chains meet in an add, the
    later layer takes it, because the other operand is complete by then.
    """
    finder = ChainFinder(function, may_add)
    found = {anchor: finder.grow(anchor) for anchor in finder.in_order(anchors)}
    return {anchor: chain for anchor in anchors if (chain := found[anchor]) is not None}


def planned_chains(function: relax.Function, layers: list[Var]) -> list[Chain]:
    """The chains of `layers` as a plan has them: those with weights first, and any tensor can be added."""
    values = definitions(function)
    finder = ChainFinder(function, lambda _other: True)
    weighted = [layer for layer in layers if becomes_weighted(values[layer])]
    order = [*finder.in_order(weighted), *(layer for layer in layers if layer not in set(weighted))]
    return [chain for anchor in order if (chain := finder.grow(anchor))]


class ChainFinder:
    """Grows chains one by one; none takes what another one has, nor what is `reserved`."""

    def __init__(
        self, function: relax.Function, may_add: Callable[[Var], bool], reserved: Collection[Var] = ()
    ) -> None:
        self._uses = count_uses(function)
        self._values = definitions(function)
        self._may_add = may_add
        self._functions = FunctionFinder(function)
        self._claimed: set[Var] = set(reserved)
        self._reader: dict[Var, Var] = {}
        for binding in bindings(function):
            self._reader.update(
                {leaf: binding.var for leaf in leaves(binding.value) if isinstance(leaf, Var)}
            )

    def in_order(self, anchors: list[Var]) -> list[Var]:
        """Anchors as they have to be grown: from the last to the first, additions after all others."""
        additions = [anchor for anchor in anchors if self._residual(anchor) is not None]
        return [*(a for a in reversed(anchors) if a not in set(additions)), *reversed(additions)]

    def grow(self, anchor: Var) -> Chain | None:
        """The anchor, extended while the output has a single reader of a kind that a chain can take.

        None if another chain has taken the anchor.
        """
        if anchor in self._claimed:
            return None
        chain = Chain.of(anchor)
        operand = self._residual(anchor)
        if operand is not None:
            residual = self._values[anchor].args[operand]
            chain = replace(chain, residual=residual, residual_add=anchor, residual_operand=operand)
        while True:
            self._claimed.add(chain.output)
            with_function = self._with_function(chain)
            if with_function is not None:
                return with_function
            reader = self._reader.get(chain.output)
            if self._uses[chain.output] != 1 or reader is None or reader in self._claimed:
                return chain
            longer = self._extend(chain, reader, self._values[reader])
            if longer is None:
                return chain
            chain = longer

    def _with_function(self, chain: Chain) -> Chain | None:
        """The chain with the function that is applied to its result, where nothing else is in between."""
        if chain.residual is not None or chain.bounds != _UNBOUNDED:
            return None
        found = self._functions.of(chain.output)
        if found is None or not self._claimed.isdisjoint(found.members):
            return None
        self._claimed.update(found.members)
        return replace(
            chain,
            function=found.function,
            argument=chain.output,
            applied=found.members,
            output=found.members[-1],
        )

    def _residual(self, anchor: Var) -> int | None:
        source = source_of(self._values[anchor])
        return None if source is None else source.residual

    def _extend(self, chain: Chain, reader: Var, call: Any) -> Chain | None:
        if chain.transposed:
            return None
        if self._is_transposition(chain, reader, call):
            return replace(chain, transposed=True, output=reader)
        if chain.output.same_as(chain.anchor):
            guarded = guarded_rows(call, chain.anchor, self._values)
            if guarded is not None:
                return replace(chain, guarded=guarded, output=reader)
        factor = _factor(call)
        if factor is not None and chain.residual is None and chain.bounds == _UNBOUNDED:
            return replace(chain, scale=chain.scale * factor, bias=chain.bias * factor, output=reader)
        clamp = facts_of(call).clamp(call)
        if clamp is not None:
            low, high = (min(max(bound, clamp[0]), clamp[1]) for bound in chain.bounds)
            is_possible = low in (0, -inf) and high > 0
            return replace(chain, relu=low == 0, clip=high, output=reader) if is_possible else None
        if op_name(call) != "relax.add" or chain.bounds != _UNBOUNDED or self._is_mask_added(chain, reader):
            return None
        operand = 1 if chain.output.same_as(call.args[0]) else 0
        other = call.args[operand]
        if is_constant(other):
            bias = _channel_bias(constant_array(other), len(chain.bias))
            return None if bias is None else replace(chain, bias=chain.bias + bias, output=reader)
        fits = isinstance(other, Var) and isinstance(other.ty, relax.TensorType) and chain.residual is None
        if not fits or static_shape(other) != static_shape(chain.output) or not self._may_add(other):
            return None
        return replace(chain, residual=other, residual_add=reader, residual_operand=operand, output=reader)

    def _is_mask_added(self, chain: Chain, total: Var) -> bool:
        """Whether a sum with a product of two activations becomes probabilities: what is added is a mask
        then, whose range no vector has.
        """
        product = source_of(self._values[chain.anchor])
        reader = source_of(self._values.get(self._reader.get(total)))
        is_score = product is not None and product.other_is_transposed
        return is_score and reader is not None and reader.rows is not None and reader.rows.total is not None

    def _is_transposition(self, chain: Chain, reader: Var, call: Any) -> bool:
        """Whether a result of rows is transposed, and not as the operand of a product whose form that is."""
        source, rank = source_of(self._values[chain.anchor]), len(static_shape(chain.output))
        if source is None or not source.transposes or op_name(call) != "relax.permute_dims" or rank != _ROWS:
            return False
        consumer = source_of(self._values.get(self._reader.get(reader)))
        is_operand = consumer is not None and consumer.other_is_transposed
        return [int(axis) for axis in call.attrs.axes] == [0, 2, 1] and not is_operand


_ROWS = 3
"""Axes of a result that can be transposed: images, rows, channels."""


def _factor(call: Any) -> float | None:
    """The positive number that a call multiplies its first operand by."""
    name = op_name(call)
    if name not in ("relax.multiply", "relax.divide") or not is_constant(call.args[1]):
        return None
    number = constant_array(call.args[1])
    if number.size != 1 or not number.item() > 0:
        return None
    return float(number.item()) if name == "relax.multiply" else 1 / float(number.item())


def _channel_bias(array: npt.NDArray[Any], channels: int) -> npt.NDArray[np.float64] | None:
    """A constant that only varies along the last axis, as float64[channels]; None if it varies elsewhere."""
    if array.size not in (1, channels) or (array.ndim and array.shape[-1] != array.size):
        return None
    return np.broadcast_to(array.astype(np.float64).reshape(-1), (channels,))
