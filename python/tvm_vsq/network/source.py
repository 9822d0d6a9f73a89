"""What an operator of the accelerator is in the canonical fp32 graph: the aspect `source` of `registry`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_vsq.graph import is_constant, op_name
from tvm_vsq.network.facts import FACTS, Facts
from tvm_vsq.registry import aspects
from tvm_vsq.tvm_compat import Call, Var

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WeightForm:
    """How constant weights, operand 1 of a call, lie in the graph: the axes of output and input channels.

    Everywhere else they are rows, [K, ..., C], whose vectors run along the last axis. along_taps: each output
    channel reads one input channel, and rows are [K, R, S] where the graph holds kernels [K, R, S, 1].
    """

    outputs: int
    inputs: int
    along_taps: bool = False

    @property
    def is_transposed(self) -> bool:
        """Whether the graph holds [C, K]."""
        return self.outputs != 0

    @property
    def is_direct(self) -> bool:
        """Whether the graph holds rows."""
        return not (self.is_transposed or self.along_taps)

    def rows(self, weights: Any) -> Any:
        """Weights of the graph as [K, ..., C]; an array or a tensor."""
        if self.along_taps:
            return weights[..., 0]
        return weights.T if self.is_transposed else weights

    def restored(self, rows: Any, shape: Sequence[int]) -> Any:
        """Rows as the graph holds them, in this shape; an array or a tensor."""
        if self.along_taps:
            return rows.reshape(tuple(shape))
        return rows.T if self.is_transposed else rows


@dataclass(frozen=True)
class Window:
    """What is read at one output position of an NHWC tensor: kernel [R, S] with strides, padding, dilation.

    padding: top, left, bottom, right. groups: of channels that are read apart.
    """

    kernel: tuple[int, int]
    strides: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    groups: int = 1


@dataclass(frozen=True)
class RowForm:
    """Of an operator that works on whole rows, the last axis, of numbers that are not stored as vectors.

    at_end: whether it is a layer also where no layer reads its result.
    factors: from a call, float64[K] and float64[K]: what one step of each accumulator is worth, and what is
    added.
    numbers: from a call, what one unit of its rows is worth, their largest magnitude, and whether rows that
        are masked as a whole give zeros: the attributes of its integer form, and the tables that that looks
        up, int32[..., segments, 2].
    unit: from a call, what a unit may be worth for these to exist, given what it should be at least.
    turns: the operand that holds cosines and sines. added: the operand that is added to rows first; None
        where the graph says so by a sum that it reads. Operators with either have no tables, and their
        accumulators count steps of the unit of what they read.
    total: what the numbers of a row that it gives sum up to, none of which is negative; None where that is
        not known.
    misfit: from a call, and from how many channels the accelerator takes at a time, why it stays on the CPU.
    """

    at_end: bool
    factors: Callable[[Any], tuple[Array, Array]]
    numbers: Callable[[Any, float, float, bool], tuple[dict[str, Any], npt.NDArray[np.int32] | None]]
    unit: Callable[[Any, float], float]
    turns: int | None = None
    added: int | None = None
    total: float | None = None
    misfit: Callable[[Any, int], str] = lambda _call, _group: ""

    @property
    def keeps_unit(self) -> bool:
        """Whether accumulators count steps of the unit of what is read."""
        return self.turns is not None or self.added is not None


def _always(_call: Any) -> bool:
    return True


def _never(_call: Any) -> bool:
    return False


def _one(_call: Any) -> int:
    return 1


def _no_window(_call: Any) -> Window | None:
    return None


@dataclass(frozen=True)
class Source:
    """The operator `relax` of the fp32 graph, in the calls that `matches` takes, and no other operator.

    word: what the default names of its layers start with.
    refusal: why a call stays in fp32 on the CPU, "" if it need not; it is told whether weights are constants.
    weights: where it has constant ones.
    is_grouped: whether a call that is refused can still be quantized for evaluation, as it has a filter for
        each group of channels.
    window: what a call reads at one output position; None for a matrix product.
    rewindowed: the call with another input, kernel and window; None if there is no such call.
    facts: what holds of a call whether or not it becomes a layer; None if `network.facts` has its row.
    divisor: of an operator without weights, how many steps of its accumulators are one of its input's; no
        accumulator is more than as many times the largest element times scale.
    residual: the operand that post-processing adds to what the operator makes of the others.
    other: the operand that is a second activation, which the operator itself reads.
    other_is_transposed: whether that takes the place of weights on the array, in the form of such
        (`formats.LayerFormats.second`), and the graph holds it with its last two axes exchanged.
    transposes: whether a result [N, M, K] can be stored as [N, K, M].
    macs: the multiply-accumulates of a call and its result; None where they follow from the kernel of a
        convolution, or there are none.
    comes_from: the operators that the canonical form writes as this one: those on sequences, over images of
        one row, and transposed ones, phase by phase.
    rows: of an operator that reads rows of numbers in place of vectors.
    """

    relax: str
    word: str
    refusal: Callable[[Any, bool], str]
    matches: Callable[[Any], bool] = _always
    weights: WeightForm | None = None
    is_grouped: Callable[[Any], bool] = _never
    window: Callable[[Any], Window | None] = _no_window
    rewindowed: Callable[[Any, Any, Any, Window], Call] | None = None
    facts: Facts | None = None
    divisor: Callable[[Any], int] = _one
    residual: int | None = None
    other: int | None = None
    other_is_transposed: bool = False
    transposes: bool = False
    macs: Callable[[Any, Var], int] | None = None
    comes_from: tuple[str, ...] = ()
    rows: RowForm | None = None

    def has_constant_weights(self, call: Any) -> bool:
        """Whether operand 1 of `call` is a constant."""
        return self.weights is not None and is_constant(call.args[1])


@cache
def _by_relax_operator() -> dict[str, list[tuple[str, Source]]]:
    found: dict[str, list[tuple[str, Source]]] = {}
    for operator, source in aspects("source", Source).items():
        found.setdefault(source.relax, []).append((operator, source))
    return found


def _of(call: Any) -> tuple[str, Source | None]:
    candidates = _by_relax_operator().get(op_name(call), [])
    return next((found for found in candidates if found[1].matches(call)), ("", None))


def source_of(call: Any) -> Source | None:
    """Of a call in the fp32 graph; None if no operator of ours stands for such."""
    return _of(call)[1]


def is_on_each_row(call: Any) -> bool:
    """Whether a call works on whole rows, the last axis, each by itself and all alike, as norms and softmax
    do: whatever the axes before are.
    """
    source = source_of(call)
    if source is None or source.rows is None:
        return False
    return all(is_constant(arg) and len(arg.ty.shape) <= 1 for arg in call.args[1:])


def becomes_weighted(call: Any) -> bool:
    """Whether a call is a layer with weights, constant or not, or will be one in the canonical form.

    So is a product of two activations: weights may be computed from constants, before these are folded.
    """
    source, name = source_of(call), op_name(call)
    if source is not None:
        return source.weights is not None or source.other_is_transposed
    return name in _become_weighted()


@cache
def _become_weighted() -> frozenset[str]:
    """The operators that the canonical form writes as one with weights."""
    sources = aspects("source", Source).values()
    return frozenset(name for each in sources if each.weights for name in each.comes_from)


def facts_of(call: Any) -> Facts:
    """What is known of a call in the fp32 graph, or of anything else that a variable is bound to: nothing."""
    source = source_of(call)
    own = None if source is None else source.facts
    return own or FACTS.get(op_name(call), Facts())


def weight_form(call: Any) -> WeightForm:
    """How the weights of a call lie in the graph, where it is a layer that has some."""
    source = source_of(call)
    if source is None or source.weights is None:
        raise ValueError(f"{op_name(call)} has no weights")
    return source.weights


def taps_of(call: Any) -> int:
    """Of the kernel of a layer whose vectors run along taps; 0 for any other."""
    source = source_of(call)
    window = source.window(call) if source and source.weights and source.weights.along_taps else None
    return prod(window.kernel) if window else 0


def operator_of(call: Any) -> str:
    """The name of the operator of ours that a call in the fp32 graph stands for, "" if there is none."""
    return _of(call)[0]


def refusal(call: Any) -> str | None:
    """Why a call in the fp32 graph stays on the CPU, "" if it need not; None if it is no layer."""
    source = source_of(call)
    return None if source is None else source.refusal(call, source.has_constant_weights(call))
